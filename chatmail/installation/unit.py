"""The systemd unit, and how long the journal of it is kept. Pure: texts made from a few facts.

The unit runs as its own user with one capability, sees the file system read-only but for its data, and may make no
memory executable (systemd.exec(5)). `systemd-analyze security chatmail` rates it. Its journal is a namespace of its own
(systemd-journald.service(8)), kept in memory and for three days, so that the rest of the machine's log stays untouched.
"""

from typing import Final

from chatmail.installation.places import LOG_NAMESPACE, USER, Places

OPEN_FILES: Final = 262144
"""Connections and what is beside them, many times over."""
WATCHDOG_SECONDS: Final = 60
START_SECONDS: Final = 120
"""A start after a crash may have a large data folder to look through."""
LOG_KEPT: Final = "3day"
LOG_SIZE: Final = "32M"


def unit_text(python: str, places: Places) -> str:
    """The unit; `python` is the absolute path of the interpreter that runs the server."""
    return f"""\
[Unit]
Description=chatmail relay
Documentation=man:systemd.service(5)
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=300
StartLimitBurst=20

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -I {places.current} serve --config {places.config_file}
User={USER}
Group={USER}
Restart=always
RestartSec=2
WatchdogSec={WATCHDOG_SECONDS}
TimeoutStartSec={START_SECONDS}
TimeoutStopSec=30
LimitNOFILE={OPEN_FILES}
StateDirectory=chatmail
StateDirectoryMode=0700
RuntimeDirectory=chatmail
RuntimeDirectoryMode=0755
UMask=0077
LogNamespace={LOG_NAMESPACE}
SyslogIdentifier=chatmail

# What it may do: open the ports below 1024, write its own data, talk to the network. Nothing else.
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
DevicePolicy=closed
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
KeyringMode=private
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=prlimit64
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def log_settings_text() -> str:
    """The settings of the journal's namespace."""
    return f"""\
# The log of chatmail.service: in memory, and no longer than it takes to look into a problem.
[Journal]
Storage=volatile
RuntimeMaxUse={LOG_SIZE}
MaxRetentionSec={LOG_KEPT}
MaxFileSec=1day
ForwardToSyslog=no
"""
