"""Data sets that lie on the device, where their batches are made."""

from aclnet.datasets.device.loader import DeviceLoader, device_loader

__all__ = ['DeviceLoader', 'device_loader']
