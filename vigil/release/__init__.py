"""From an exported model to a trusted service: judged, published, tried on traffic, taken back.

`gate` holds a candidate against the served model and writes its verdict; `publish` brings what
passed into the live repository and back out of it while requests flow; `canary` gives a candidate
a share of the traffic. `live` says what lies where, `lineage` what taught it.
"""
