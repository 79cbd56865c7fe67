"""One reader per source."""

from __future__ import annotations

from aclnet.conversion.base import Reader
from aclnet.conversion.options import Options
from aclnet.conversion.readers.custom import Custom
from aclnet.conversion.readers.kinect import NWUCLA, UTDMHAD, MSRAction3D
from aclnet.conversion.readers.kinetics import HRNet, Kinetics, KineticsOpenPose
from aclnet.conversion.readers.ntu import NTU
from aclnet.conversion.readers.pku_mmd import PKUMMD
from aclnet.conversion.readers.sbu import SBU
from aclnet.errors import ACLNetError, nearest

__all__ = ['SOURCES', 'reader_of']

SOURCES: dict[str, type[Reader]] = dict(
    ntu60=NTU,
    ntu120=NTU,
    pku_mmd=PKUMMD,
    kinetics=Kinetics,
    kinetics_openpose=KineticsOpenPose,
    hrnet=HRNet,
    nw_ucla=NWUCLA,
    utd_mhad=UTDMHAD,
    msr_action3d=MSRAction3D,
    sbu=SBU,
    custom=Custom,
)


def reader_of(source: str, path: str, options: Options) -> Reader:
    """The reader of a source; raises ``ACLNetError`` where there is none."""
    if source not in SOURCES:
        raise ACLNetError(f"there is no source '{source}'{nearest(source, SOURCES)} (known: {', '.join(SOURCES)})")
    return SOURCES[source](source, path, options)
