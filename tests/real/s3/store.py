"""OpenStack Swift with its S3 API, whole in one process: `python store.py FOLDER KEY SECRET`, plain HTTP on loopback.

It checks signatures, expiry and checksums as public clouds do that run it. It says `ready PORT`, and serves until its
standard input ends; objects are in memory, listings in FOLDER.
"""
# ruff: noqa: E402, PLC0415, T201 - eventlet first, swift.conf before what reads it when loaded; a program that prints

import warnings

warnings.simplefilter("ignore")  # it says of itself that it is old
import eventlet

eventlet.monkey_patch()

import logging
import sys
from pathlib import Path

from eventlet import tpool, wsgi
from swift.account.server import AccountController
from swift.common import utils
from swift.common.ring import RingData

SWIFT = """
[swift-hash]
swift_hash_path_suffix = tests
[storage-policy:0]
name = only
default = yes
"""
PROXY = """
[DEFAULT]
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors gatekeeper listing_formats s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_{user} = {secret} .admin
[filter:slo]
use = egg:swift#slo
"""
BACKENDS = ("account", "container", "object")


def main(folder: Path, key: str, secret: str) -> None:
    """Serve. `key` is `account:user`."""
    (folder / "devices/only").mkdir(parents=True)
    (folder / "swift.conf").write_text(SWIFT)
    (folder / "proxy.conf").write_text(PROXY.format(folder=folder, user=key.replace(":", "_"), secret=secret))
    utils.set_swift_dir(str(folder))
    # what reads swift.conf as it is loaded
    from swift.common.wsgi import loadapp
    from swift.container.server import ContainerController
    from swift.obj.mem_server import ObjectController

    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in (*BACKENDS, "proxy")}
    for name in BACKENDS:
        place = {"ip": "127.0.0.1", "port": sockets[name].getsockname()[1], "device": "only"}
        device = {"id": 0, "region": 1, "zone": 0, "weight": 1.0, **place}
        RingData([[0, 0]], [device], 31).save(str(folder / f"{name}.ring.gz"))
    conf = {"devices": str(folder / "devices"), "swift_dir": str(folder), "mount_check": "false"}
    apps = {
        "account": AccountController(conf),
        "container": ContainerController(conf),
        "object": ObjectController(conf),
    }
    apps["proxy"] = loadapp(str(folder / "proxy.conf"), global_conf={"log_level": "WARNING"})
    for name, app in apps.items():
        eventlet.spawn(wsgi.server, sockets[name], app, logging.getLogger("quiet"), log_output=False)
    print("ready", sockets["proxy"].getsockname()[1], flush=True)
    tpool.execute(sys.stdin.read)


main(Path(sys.argv[1]), *sys.argv[2:])
