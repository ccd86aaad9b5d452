"""Manifests for the tests."""

from __future__ import annotations

SMALLEST = """\
[tool]
name = "word-count"
entrypoint = "server"
"""

EVERYTHING = """\
[tool]
name = "ledger"
version = "1.2.0"
description = "Books and balances"
entrypoint = "ledger.server:app"
title = "Ledger"
instructions = "Ask for a balance before you book."
project = "finance"
python = ">=3.11"
requires = ">=0.1"
include = ["data/*.csv"]
exclude = ["notes/**"]
dependencies = ["httpx>=0.28", "redis"]
bytecode = false

[[tool.allow]]
path = "tests/key.pem"
reason = "A key made for the tests"

[env]
LOG_LEVEL = "info"
RETRIES = 3
RATIO = 0.5
DEBUG = false

[secrets.API_KEY]
description = "Key of the bank"
from = "aws-sm:prod/bank#key"

[secrets.CLIENT_KEY]
as = "file"
from = "k8s:finance/client/tls.key"
required = false

[secrets.CALLER_KEY]
required = false

[services.cache]
image = "redis:7.4@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
command = ["redis-server", "--appendonly", "yes"]
ports = [6379]
env = { TZ = "UTC" }
secrets = { REDIS_PASSWORD = "API_KEY" }
volume = { path = "/data", size = "2Gi" }
health = { command = ["redis-cli", "ping"], interval = "5s", timeout = "3s", retries = 3, start = "20s" }
resources = { cpu = "250m", memory = "256Mi", disk = "1Gi" }
provides = { REDIS_URL = "redis://{host}:{port}/0" }

[services.search]
external = "search.internal.example.com:9200"
provides = { SEARCH_HOST = "{host}" }

[[permissions.aws]]
actions = ["s3:GetObject"]
resources = ["arn:aws:s3:::books/*"]
conditions = { StringEquals = { "s3:prefix" = "books" }, StringLike = { "aws:PrincipalTag/team" = ["a", "b"] } }

[[permissions.kubernetes]]
groups = [""]
resources = ["configmaps"]
verbs = ["get", "list"]
names = ["rates"]

[[permissions.egress]]
host = "*.bank.example.com"
ports = [443, 8443]

[[permissions.egress]]
cidr = "10.0.0.0/8"
ports = [5432]
protocol = "tcp"

[serve]
path = "/ledger/mcp"
public_url = "https://tools.example.com"
timeout = "1m30s"
concurrency = 50
hosts = ["ledger.internal"]
origins = ["https://desk.example.com"]
drain = "10s"
max_body = "1MiB"
trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
events = "env:REDIS_URL"
rate = { calls = 60, per = "1m", burst = 20, shared = true }
auth = { mode = "oidc", issuer = "https://login.example.com", audience = "ledger", scopes = ["ledger.read"] }
metrics = { port = 9465 }
telemetry = { otlp = "http://collector.internal:4318", sample = 0.5 }
audit = { to = "otlp" }

[resources]
cpu = "500m"
memory = "512Mi"
disk = "1Gi"

[scale]
min = 2
max = 10
cpu = 60

[verify]
via = "public"

[[verify.call]]
tool = "balance"
arguments = { account = "test", at = "2026-01-01" }
expect = { contains = "0.00", structured = { total = 0.0 } }
timeout = "10s"

[[verify.call]]
tool = "book"
expect.error = true

[pin]
aws_account = "123456789012"
aws_region = "eu-central-1"
kube_context = "finance"

[target.local]
port = 8123

[stage.prod.env]
LOG_LEVEL = "warning"

[stage.prod.serve.auth]
mode = "bearer"
keys = ["CALLER_KEY"]

[stage.prod.target.local]
port = 8124

[stage.dev]
secrets.API_KEY.from = "env:BANK_KEY"
scale.min = 1
"""
"""Every key once."""
