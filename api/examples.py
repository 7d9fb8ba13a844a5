"""Examples of bodies. The pages /docs and /redoc fill them in, so each of them is accepted as it stands."""

from model.json_values import JsonObject

_TEST: JsonObject = {
    "name": "API Regression Test",
    "type": "pytest",
    "content": {"type": "inline", "files": {"test_sum.py": "def test_sum():\n    assert 1 + 1 == 2\n"}},
    "resources": {"cpuRequest": "500m", "memoryRequest": "256Mi"},
    "config": {"timeout": 300},
    "labels": {"team": "shop"},
    "tags": ["regression"],
    "priority": 5,
}
_COMMAND: JsonObject = {
    "name": "smoke",
    "type": "custom",
    "command": ["sh", "-c", 'test "$CI" = true'],
    "content": {"type": "inline", "files": {"README.txt": "Nothing is needed but the shell.\n"}},
}

EXAMPLES: dict[str, JsonObject] = {
    "TestRequest": _TEST,
    "Suite": {
        "name": "nightly",
        "description": "Two tests, every night.",
        "overlap": "skip",
        "start": "one-by-one",
        "startDeadlineSeconds": 3600,
        "schedules": [{"cron": "30 3 * * *", "timezone": "Europe/Berlin"}],
        "tests": [_TEST, _COMMAND],
    },
    "Run": {"kind": "test", "spec": _COMMAND},
    "QuotaChange": {"maxConcurrentTests": 20, "maxDailyTests": 500},
    "PoolChange": {"maxConcurrentTests": 8, "strategy": "FAIR_SHARE"},
    "NewTeam": {"name": "platform"},
    "TeamUses": {"uses": ["k8s/lab/shop"]},
    "TeamChaosRules": {
        "maxBudgetPercent": 1,
        "windows": [
            {"days": ["mon", "tue", "wed", "thu"], "start": "09:00", "end": "16:00", "timezone": "Europe/Berlin"}
        ],
        "outside": "hold",
        "rules": [{"name": "production", "effect": "approve", "where": ["k8s/prod"], "approvers": ["anna"]}],
    },
    "NewUser": {"name": "anna", "email": "anna@example.com", "team": "default"},
    "Experiment": {
        "name": "payments is slow",
        "fault": {"type": "network-latency", "parameters": {"latencyMs": 300}},
        "target": {"environment": "shop", "service": "payments"},
        "hypothesis": {"slo": {"name": "orders placed", "kind": "ratio", "source": "load", "objective": 99}},
        "load": {"url": "http://127.0.0.1:8100/orders", "method": "POST", "body": "{}", "perSecond": 20},
        "durationSeconds": 60,
        "haltConditions": [{"slo": "orders placed", "above": 50}],
    },
    "ChaosStop": {"reason": "an incident is open"},
    "ChaosApproval": {"digest": "sha256:" + 64 * "0", "comment": "the rota knows of it"},
    "ChaosDenial": {"comment": "a release is under way"},
    "ChaosCordon": {"path": "local/shop/payments", "reason": "its data is being migrated"},
    "NewPool": {"name": "gpu", "maxConcurrentTests": 4},
}
"""By the name of the schema in the OpenAPI document."""
