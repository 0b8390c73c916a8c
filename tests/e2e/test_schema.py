"""The JSON Schema an editor gets: it takes every good configuration there is and refuses the mistakes a schema can know."""
import json
import re
import subprocess

import jsonschema
import pytest
import yaml

from agent import BUILD, ROOT, VITALD
from test_documents import configs

DATA = ROOT / "tests/data/config"
# The rest are mistakes between two places, in another file, in how the text is written, or that only the agent knows: its
# environment, its files, what a module's own code says.
MUST_REFUSE = ["a-list", "checks-a-list", "durations", "numbers", "unknown-keys", "wrong-kinds", "ten-mistakes", "types",
               "module-options", "service-rules", "service-policies", "choices", "defaults"]


class Words(yaml.SafeLoader):
    """YAML 1.2's idea of a boolean, as editors have it: off and yes are words."""


Words.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Words.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))


def validator(text):
    schema = json.loads(text)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.fixture(scope="module")
def real():
    done = subprocess.run([VITALD, "check-config", "--schema"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return validator(done.stdout)


@pytest.fixture(scope="module")
def of_the_corpus():
    """With the module types the corpus is written for."""
    done = subprocess.run([BUILD / "tests/config/print-schema"], capture_output=True, text=True, timeout=60)
    return validator(done.stdout)


def mistakes(schema, text):
    return [f"{'.'.join(map(str, e.absolute_path))}: {e.message[:150]}" for e in schema.iter_errors(yaml.load(text, Words))]


@pytest.mark.parametrize("file", sorted((DATA / "good").rglob("*.yaml")), ids=lambda p: p.name)
def test_a_good_configuration_is_valid(file, of_the_corpus):
    if (DATA / "good/conf.d") in file.parents and yaml.load(file.read_text(), Words) is None:
        pytest.skip("nothing is in it")
    assert not mistakes(of_the_corpus, file.read_text(encoding="utf-8-sig"))


@pytest.mark.parametrize("file", sorted((ROOT / "conf").glob("*.yaml")), ids=lambda p: p.name)
def test_a_configuration_that_is_delivered_is_valid(file, real):
    assert not mistakes(real, file.read_text())


@pytest.mark.parametrize("text", configs())
def test_a_configuration_that_is_shown_is_valid(text, real):
    found = [m for m in mistakes(real, text) if not re.search(r"'(spool|uptime|depth)' is not one of", m)]
    assert not found


@pytest.mark.parametrize("name", MUST_REFUSE)
def test_a_bad_configuration_is_refused_where_a_schema_can_know(name, of_the_corpus):
    assert mistakes(of_the_corpus, (DATA / "bad" / f"{name}.yaml").read_text())


def test_most_of_the_bad_corpus_is_refused(of_the_corpus):
    refused, taken = [], []
    for file in sorted((DATA / "bad").glob("*.yaml")):
        try:
            (refused if mistakes(of_the_corpus, file.read_text()) else taken).append(file.stem)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
            refused.append(file.stem)
    assert len(refused) > len(taken), taken


@pytest.mark.parametrize("check, expected", [
    ({"type": "disk", "paht": "/"}, r"'paht' was unexpected"),
    ({"type": "nosuch"}, r"'nosuch' is not one of"),
    ({"path": "/"}, r"'type' is a required property"),
    ({"type": "http"}, r"'url' is a required property"),
    ({"type": "http", "url": "http://x/", "password": "secret"}, r"'password' was unexpected"),
    ({"type": "http", "url": "http://x/", "max_body": "many"}, r"max_body: 'many' is not valid"),
    ({"type": "http", "url": "http://x/", "tls": {"mode": "maybe"}}, r"tls.mode: 'maybe' is not valid"),
    ({"type": "http", "url": "http://x/", "interval": "5"}, r"interval: '5' does not match"),
    ({"type": "http", "url": "http://x/", "retries": 99}, r"retries: 99 is not valid"),
    ({"type": "exec", "command": "x", "arguments": {"a": 1}}, r"'arguments' was unexpected"),
    ({"type": "exec", "protocol": "lines", "command": "x", "max_output": 1}, r"'max_output' was unexpected"),
    ({"type": "postgres", "host": "x", "user": "u", "port": 70000}, r"port: 70000 is not valid"),
])
def test_a_mistake_in_a_check_is_found_where_it_is(check, expected, real):
    assert any(re.search(expected, m) for m in mistakes(real, json.dumps({"checks": {"a": check}})))


@pytest.mark.parametrize("action, expected", [
    ({"type": "wait", "fro": "5s"}, r"'fro' was unexpected"),
    ({"type": "reboot"}, r"'reboot' is not one of"),
    ({"type": "webhook"}, r"'url' is a required property"),
    ({"type": "webhook", "url": "https://x/", "secret": "s"}, r"'secret' was unexpected"),
    ({"type": "wait", "for": "5s", "step": {"token": 1}}, r"'step' was unexpected"),
    ({"type": "pacemaker.move", "node": "{to}", "resource": "db", "promoted": "maybe"}, r"promoted: 'maybe' is not valid"),
])
def test_a_mistake_in_an_action_is_found_where_it_is(action, expected, real):
    assert any(re.search(expected, m) for m in mistakes(real, json.dumps({"failover": {"actions": {"a": action}}})))


def test_an_action_is_taken_with_the_keys_all_have(real):
    action = {"type": "wait", "for": "5s", "enabled": True}
    assert not mistakes(real, json.dumps({"failover": {"actions": {"a": action}, "topologies": {"m": {"members": ["a", "b"]}}}}))


def test_every_option_of_every_check_can_be_completed_with_its_help(real):
    listed = json.loads(subprocess.run([VITALD, "modules", "--json"], capture_output=True, text=True, timeout=60).stdout)
    for module in listed["modules"]:
        for option in module["options"]:
            at = {"properties": real.schema["definitions"][f"check-{module['type']}"]["properties"]}
            for part in option["name"].split("."):
                groups = [at, *at.get("anyOf", [])]
                at = next(g["properties"][part] for g in groups if part in g.get("properties", {}))
            assert option["help"] in at.get("description", ""), option["name"]
            assert ("default" in at) == (option["default"] is not None), option["name"]
