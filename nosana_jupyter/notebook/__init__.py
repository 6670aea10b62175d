"""What runs in the kernel: magics, and what comes back drawn under the cell."""
