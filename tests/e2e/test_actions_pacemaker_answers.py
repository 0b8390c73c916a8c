"""pacemaker.* against what Pacemaker's tools may answer: work that is still under way, a way back that did not come true, tools that end in
every way. The tools are scripts here; the real cluster is in test_actions_pacemaker.py."""
import contextlib
import pathlib

import pytest

from acting import Kind, outcome
from servers import temporary_directory

STATUS = """<?xml version="1.0"?><pacemaker-result api-version="2.25"><summary><current_dc present="true" name="n1" with_quorum="true"/>
<cluster_options stonith-enabled="true" maintenance-mode="false"/></summary><nodes>
<node name="n1" online="true" standby="{standby}" unclean="false"/><node name="n2" online="true" standby="false" unclean="false"/></nodes>
<resources><resource id="app" role="Started" managed="true" failed="false"><node name="{on}" id="1"/></resource></resources>
<bans>{bans}</bans><status code="0" message="OK"/></pacemaker-result>"""
BAN = '<ban id="x" resource="app" node="n1" weight="-1000000" promoted-only="false"/>'
SAYS = '#!/bin/sh\necho "$(basename "$0") $*" >> "{folder}/diary"\ncat "{folder}/{tool}.says"\nexit "$(cat "{folder}/{tool}.code")"\n'


class Tools:
    """crm_mon and the others: each says what says() gave it, ends with code() and writes what it was asked into a diary."""

    def __init__(self, standby="false", on="n1", bans="", state="S_IDLE", constraints=()):
        self.folder = pathlib.Path(temporary_directory("tools"))
        for tool in ("crm_mon", "crmadmin", "crm_resource", "crm_standby", "cibadmin"):
            (self.folder / tool).write_text(SAYS.format(folder=self.folder, tool=tool))
            (self.folder / tool).chmod(0o755)
            self.says(tool, "")
        self.says("crm_mon", STATUS.format(standby=standby, on=on, bans=bans))
        self.says("crmadmin", f'<crmd node_name="n1" state="{state}" result="ok"/>')
        self.says("cibadmin", "<constraints>" + "".join(f'<rsc_location id="{c}"/>' for c in constraints) + "</constraints>")

    def says(self, tool, text, code=0):
        (self.folder / f"{tool}.says").write_text(text)
        (self.folder / f"{tool}.code").write_text(str(code))

    def told(self):
        with contextlib.suppress(FileNotFoundError):
            return [line for line in (self.folder / "diary").read_text().splitlines() if line.split()[0] in ("crm_resource", "crm_standby")]
        return []

    def kind(self, wish, node="n1", **options):
        return Kind(f"pacemaker.{wish}", programs=str(self.folder), node=node, **options)


SO = {"standby": ({"standby": "true", "on": "n2"}, {}), "move": ({"on": "n2"}, {"node": "n2", "resource": "app"}),
      "ban": ({"on": "n2", "bans": BAN}, {"resource": "app"})}
ORDERS = {"standby": "crm_standby -N n1 -v on", "move": "crm_resource --move -r app -N n2", "ban": "crm_resource --ban -r app -N n1"}


@pytest.mark.parametrize("wish", SO)
def test_what_is_so_is_believed_once_pacemaker_has_nothing_more_to_do(wish):
    seen, options = SO[wish]
    idle = Tools(**seen).kind(wish, **options)
    assert idle.verify(timeout="2s").verdict == "pass"
    tools = Tools(**seen, state="S_TRANSITION_ENGINE")
    busy = tools.kind(wish, **options).verify(timeout="1s")
    assert busy.verdict == "fail" and "Pacemaker is still at work" in busy.text, busy.text
    # While it works it may be just about to be otherwise: it is told again.
    assert tools.told() == [] and tools.kind(wish, **options).perform().verdict == "pass"
    assert tools.told() == [ORDERS[wish]]
    settled = Tools(**seen)
    assert settled.kind(wish, **options).perform().text.startswith("already") and settled.told() == []


@pytest.mark.parametrize("wish", SO)
def test_what_is_not_so_is_asked_for_by_the_tool_that_does_it_and_not_in_a_dry_run(wish):
    tools = Tools()
    options = SO[wish][1]
    assert tools.kind(wish, **options).verify(timeout="1s").verdict == "fail"
    assert "dry run" in tools.kind(wish, **options).perform(**{"step.dry_run": True}).text and tools.told() == []
    assert tools.kind(wish, **options).perform().verdict == "pass" and tools.told() == [ORDERS[wish]]


def test_a_way_back_is_believed_only_when_it_is_seen():
    still = Tools(standby="true").kind("standby").compensate()
    assert still.verdict == "fail" and "n1 is still in standby" in still.text, still.text
    assert Tools().kind("standby").compensate().verdict == "pass"
    for wish, name in (("move", "cli-prefer-app"), ("ban", "cli-ban-app-on-n1")):
        options = SO[wish][1]
        left = Tools(constraints=["other", name])
        done = left.kind(wish, **options).compensate()
        assert done.verdict == "fail" and f"the constraint {name} is still there" in done.text, done.text
        assert left.told() == [f"crm_resource --clear -r app -N {options.get('node', 'n1')}"]
        assert Tools(constraints=["other"]).kind(wish, **options).compensate().verdict == "pass"


@pytest.mark.parametrize("code, cause", [(4, "auth"), (102, "refused"), (1, "content")])
def test_a_tool_that_refuses_says_why_and_nothing_is_believed(code, cause):
    tools = Tools()
    tools.says("crm_standby", f'<pacemaker-result><status code="{code}" message="Not today"/></pacemaker-result>', code)
    done = tools.kind("standby").perform()
    assert (done.verdict, done.cause, outcome(done)) == ("fail", cause, "failed") and "Not today" in done.text, done.text
    tools.says("crm_mon", "<nonsense/>")
    assert tools.kind("standby").verify(timeout="1s").cause == "protocol"
