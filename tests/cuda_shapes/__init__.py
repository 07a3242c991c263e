"""The CUDA path executed without a GPU: `make test-cuda-shapes`, in an environment with torch's CUDA build.

Tensors of a GPU are fake there (shapes, types and devices without numbers), those of the CPU are real. What a
GPU would refuse or be waited for raises: see fake_cuda.Watch. What it computes is not checked: that is
tests/higgs/test_cuda.py, on a GPU.
"""
