"""What the schema of Compose files does not say about ours: that they keep the promises of their comments and of docs/deployment.md.

    compose.py FILE...     deploy/compose.yaml, and the file that the page shows
"""

import os
import re
import sys

import yaml


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(s|m)", text).groups()
    return int(number) * {"s": 1, "m": 60}[unit]


def wrong(path):
    services = yaml.safe_load(open(path))["services"]
    ours = path.startswith("deploy/")
    for name, service in services.items():
        if "image" in service and not re.search(r":v?\d+\.\d+\.\d+$", service["image"]):
            yield f"{name}: {service['image']} has no exact version"
        if ours:
            yield from (f"{name}: {port} is open to other machines" for port in service.get("ports", []) if not port.startswith("127.0.0.1:"))
            for source in (volume.split(":")[0] for volume in service.get("volumes", [])):
                if source.startswith(".") and not os.path.isdir(os.path.join(os.path.dirname(path), source)):
                    yield f"{name}: {source} is no folder"
    gateway = services["gateway"]
    # The root is read-only, and without rights the program cannot get any.
    for key, value in {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"], "restart": "unless-stopped"}.items():
        if gateway.get(key) != value:
            yield f"gateway: {key} is {gateway.get(key)}, not {value}"
    # An editor replaces a file, so the folder is mounted; only the data can be written to.
    mounts = [volume.split(":")[1:] for volume in gateway["volumes"]]
    if mounts != [["/etc/gatewright", "ro"], ["/var/lib/gatewright"]]:
        yield f"gateway: it mounts {mounts}"
    # The longest that a gateway needs by default, and that of the configuration for production in docs/deployment.md.
    if seconds(gateway.get("stop_grace_period", "10s")) <= 40:
        yield "gateway: stop_grace_period must be longer than shutdown.grace and shutdown.drain"


found = [f"{path}: {message}" for path in sys.argv[1:] for message in wrong(path)]
print(*found, *([] if found else [f"{len(sys.argv) - 1} Compose files are as they should be"]), sep="\n")
sys.exit(bool(found))
