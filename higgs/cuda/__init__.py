"""The step on a GPU: kernels by Triton where torch would launch several, or read what nobody needs."""
