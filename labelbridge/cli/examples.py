"""Examples of each command, shown below its `--help`; a test holds that each has some and that they parse."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "doctor": (
        "labelbridge doctor tickets",
        "labelbridge doctor tickets --for connect --job tickets-labeling",
        "labelbridge doctor tickets --output report > ticket.md",
    ),
    "connect": (
        "labelbridge connect tickets --job tickets-labeling --dry-run",
        "labelbridge connect tickets --job tickets-labeling --confirm tickets",
    ),
    "switch": (
        "labelbridge switch tickets --to azureml",
        "labelbridge switch tickets --to language --policy refuse --timeout 30m",
        "labelbridge switch --all --where 'active=language and workspace=emea' --to azureml --dry-run",
        "labelbridge switch --all --where 'kind=entities' --to azureml --max-parallel 8 --key wave-2 --confirm 40",
    ),
    "sync": (
        "labelbridge sync tickets",
        "labelbridge sync tickets --key nightly-2026-03-01 --query snapshot.id",
        "labelbridge sync --all --where 'active=azureml' --confirm 12",
    ),
    "train": (
        "labelbridge train tickets --model v2",
        "labelbridge train tickets --model v2 --labels as-is --deploy production",
    ),
    "import": (
        "labelbridge import tickets --file e.jsonl --account a --container c --kind entities --language en-us",
    ),
    "disconnect": (
        "labelbridge disconnect tickets --sync --dry-run",
        "labelbridge disconnect tickets --discard-labels --confirm tickets",
    ),
    "status": (
        "labelbridge status",
        "labelbridge status tickets --query active",
        'labelbridge status --query "[?connected].{project: project.name, active: active}"',
    ),
    "list": (
        "labelbridge list --where 'active=azureml and state=switching'",
        "labelbridge list --where 'attention!=none or not (kind in (entities, multi-label))' --output json",
        "labelbridge list --where 'resource=contoso-language' --query \"[?epoch>`4`].name\"",
    ),
    "fleet status": ("labelbridge fleet status wave-2",),
    "fleet watch": ("labelbridge fleet watch wave-2 --timeout 2h",),
    "fleet report": (
        "labelbridge fleet report wave-2",
        "labelbridge fleet report wave-2 --query \"rows[?outcome=='refused'].project.name\"",
    ),
    "fleet cancel": ("labelbridge fleet cancel wave-2", "labelbridge fleet cancel wave-2 --running"),
    "fleet list": ("labelbridge fleet list",),
    "history": (
        "labelbridge history tickets --since 7d",
        "labelbridge history tickets --limit 0 --output json",
        "labelbridge history tickets --query \"[?outcome!='committed'].operation_id\"",
    ),
    "wait": (
        "labelbridge wait tickets 000042-switch-1a2b3c4d",
        "labelbridge wait tickets --for synced --timeout 30m",
        "labelbridge wait tickets --for active=azureml && start-labeling.sh",
    ),
    "watch": (
        "labelbridge watch",
        "labelbridge watch tickets",
        "labelbridge watch tickets --output json | jq -c 'select(.event == \"ended\")'",
    ),
    "cancel": ("labelbridge cancel tickets",),
    "reconcile": (
        "labelbridge reconcile tickets",
        "labelbridge reconcile --all --dry-run --output json",
    ),
    "policy": (
        "labelbridge policy tickets",
        'labelbridge policy tickets --auto-sync "every 15 min"',
    ),
    "convert": (
        "labelbridge convert export.jsonl project.json --documents ./documents",
        "labelbridge convert project.json - --to csv | head",
    ),
    "worker": ("LABELBRIDGE_LOG_FORMAT=json labelbridge worker",),
    "codec-server": ("labelbridge codec-server",),
    "console": ("labelbridge console",),
    "dev": ("labelbridge dev", "labelbridge dev --data ./my-project --workers 2"),
    "completion": (
        "source <(labelbridge completion bash)",
        "labelbridge completion zsh > ~/.zfunc/_labelbridge",
        "labelbridge completion fish > ~/.config/fish/completions/labelbridge.fish",
    ),
    "snapshots list": (
        "labelbridge snapshots list tickets",
        "labelbridge snapshots list tickets --query '[-1].id'",
    ),
    "snapshots latest": ("labelbridge snapshots latest tickets --output json",),
    "snapshots show": ("labelbridge snapshots show tickets 9f2c",),
    "snapshots diff": ("labelbridge snapshots diff tickets 9f2c 41ab --output json",),
    "snapshots export": ("labelbridge snapshots export tickets 9f2c labels.conll --to conll",),
    "events tail": (
        "labelbridge events tail --follow",
        "labelbridge events tail --from 0 --output json",
        "labelbridge events tail --follow --query \"data.project.name == 'tickets' && type || null\"",
    ),
    "events replay": ("labelbridge events replay --to warehouse --from 0",),
    "events test": ("labelbridge events test warehouse",),
    "events subscribers": ("labelbridge events subscribers", "labelbridge events subscribers warehouse"),
}
