"""What tools/quickstart.sh does once its environment is there."""

from __future__ import annotations


def main() -> None:
    from aclnet.apis.quickstart import quickstart

    quickstart()


if __name__ == '__main__':
    from aclnet.errors import run_tool

    run_tool(main)
