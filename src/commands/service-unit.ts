// The systemd unit of a Roost service: for a small machine, and with nothing that the server does not need. What is written here
// is what `systemd-analyze security` judges; test/service.test.ts holds the result.

/** Where `roost service install` puts things. */
export const SERVICE_PATHS = {
  executable: "/usr/local/bin/roost",
  unit: "/etc/systemd/system/roost.service",
  config: "/etc/roost/roost.yaml",
  secrets: "/etc/roost/roost.env",
  data: "/var/lib/roost",
} as const;

export interface ServiceOptions {
  /** Settings as flags, such as `["--port", "443"]`. */
  readonly flags: readonly string[];
  /** Ports below 1024 need a capability. */
  readonly privilegedPort: boolean;
}

export function serviceUnit({ flags, privilegedPort }: ServiceOptions): string {
  const { executable, config, secrets, data } = SERVICE_PATHS;
  const capability = privilegedPort ? "CAP_NET_BIND_SERVICE" : "";
  return `# Written by "roost service install". Changes belong in a drop-in: systemctl edit roost
[Unit]
Description=Roost, a home for coding agents
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=5min
StartLimitBurst=20

[Service]
Type=notify
NotifyAccess=main
ExecStart=${[executable, "serve", ...flags].map(quoted).join(" ")}
ExecReload=/bin/kill -HUP $MAINPID
Environment=ROOST_DATA_DIR=${data}
Environment=ROOST_CONFIG=${config}
# Secrets, as lines such as ROOST_MASTER_SECRET=...; readable by root only.
EnvironmentFile=-${secrets}

# A start may have to bring a large database up to date.
TimeoutStartSec=30min
TimeoutStopSec=30s
WatchdogSec=2min
Restart=always
RestartSec=2s
# Wrong usage or configuration does not get better by trying again.
RestartPreventExitStatus=2

# For a machine with 1 GB.
MemoryHigh=384M
MemoryMax=512M
TasksMax=128
LimitNOFILE=65536

DynamicUser=yes
StateDirectory=roost
StateDirectoryMode=0700
WorkingDirectory=${data}
UMask=0077

NoNewPrivileges=yes
CapabilityBoundingSet=${capability}
AmbientCapabilities=${capability}
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
${privilegedPort ? "# A user namespace of its own would make the capability worthless.\nPrivateUsers=no" : "PrivateUsers=yes"}
ProtectHostname=yes
ProtectClock=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private
# AF_UNIX tells systemd that the server is ready; AF_NETLINK lists this machine's addresses at the start.
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
# MemoryDenyWriteExecute is absent: the JavaScript engine compiles to machine code.

[Install]
WantedBy=multi-user.target
`;
}

/** One word of a command line in a unit (systemd.service(5), systemd.syntax(7)): quoted when it must be, no specifier or variable. */
export function quoted(word: string): string {
  const escaped = word.replaceAll("%", "%%").replaceAll("$", "$$$$");
  if (/^[\w./:@,=+%$-]+$/.test(escaped)) return escaped;
  return `"${escaped.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

/** What a person finds in the configuration file of a new service. */
export const CONFIG_TEMPLATE = `# Settings of Roost, such as:
#
#   publicUrl: https://roost.example.com
#   logLevel: info
#
# "roost config" explains every one. Secrets belong in ${SERVICE_PATHS.secrets}.
# Most changes are followed when this file is saved; the log names those that wait for a restart.
`;
