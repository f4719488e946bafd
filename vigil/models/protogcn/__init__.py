"""ProtoGCN (Liu et al., CVPR 2025): prototype-guided graph convolution over skeletons."""
