"""What tools/quickstart.sh does once its environment is there: demo data, two streams, their fusion, two pictures."""

from __future__ import annotations

import argparse


def main() -> None:
    argparse.ArgumentParser(description=__doc__, epilog='example:\n  bash tools/quickstart.sh').parse_args()
    from aclnet.apis.quickstart import quickstart

    quickstart()


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
