"""Where the annotation files of the benchmarks come from."""

from __future__ import annotations

import os

__all__ = ['KINETICS_POSES', 'PYSKL', 'SOURCES', 'hint']

PYSKL = 'https://download.openmmlab.com/mmaction/pyskl/data'
KINETICS_POSES = (
    'https://www.dropbox.com/scl/fi/5phx0m7bok6jkphm724zc/kpfiles.zip?rlkey=sz26ljvlxb6gwqj5m9jvynpg8&st=47vcw2xb&dl=0'
)
SOURCES = {
    'ntu60_3danno.pkl': f'{PYSKL}/nturgbd/ntu60_3danno.pkl',
    'ntu120_3danno.pkl': f'{PYSKL}/nturgbd/ntu120_3danno.pkl',
    'k400_hrnet.pkl': f'{PYSKL}/k400/k400_hrnet.pkl',
    'gym_hrnet.pkl': f'{PYSKL}/gym/gym_hrnet.pkl',
    'pku_mmd.pkl': 'https://drive.google.com/file/d/1tuwvGb_F2nSQj7kegfQCyLLk4LTA809O/view',
}


def hint(path: str) -> str:
    """What to do about a missing annotation file, as the end of a sentence."""
    if os.path.basename(path) == 'demo.pkl':
        return f'; make it: python tools/data/make_demo.py --out {path}'
    url = SOURCES.get(os.path.basename(path))
    if url is None:
        return '; data/README.md says how to get or make annotation files'
    return f'; download it from {url}'
