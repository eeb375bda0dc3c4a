"""C++ kernels (`native.kernels`) for what takes most of the time. native/src has a file for each kernel."""
