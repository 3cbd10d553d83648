"""`python -m infra.local`: the stack on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
import sys

from infra.local.errors import LocalStackError
from infra.local.stack import LocalStack


def main() -> int:
    try:
        with LocalStack() as stack:
            for name, value in sorted(stack.outputs.items()):
                print(f"{name:20} {value}")
            print(f"{'API':20} {stack.api_url}")
            print(f"{'MQTT':20} {stack.mqtt_host}:{stack.mqtt_port}")
            print(f"{'Operator token':20} {stack.token('operator')}")
            print("AWS, for the aws command, boto3 and `make verify` in another terminal:")
            for name, value in sorted(stack.settings().items()):
                print(f"  export {name}={value}")
            print("Ctrl-C ends it.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print()
    except LocalStackError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
