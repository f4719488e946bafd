"""Labels by people: each figure and file that is made from votes."""
