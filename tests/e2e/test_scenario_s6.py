"""Scenario S6: a server cloned from an image. The same configuration file runs on two nodes; who they are comes from the
host, and the secrets from files beside it."""
import os
import shutil

from agent import Agent
from servers import HttpApp, Postgres

CONFIG = """
listen:
  health: {{address: "127.0.0.1:0"}}
  admin: {{socket: "${{NODE_DIR}}/admin.sock"}}
state_dir: "${{NODE_DIR}}/state"
node: {{labels: {{role: web}}}}
profile: strict
checks:
  app: {{type: http, url: "{app}/healthz"}}
  db: {{type: postgres, host: 127.0.0.1, port: {db}, user: app, database: app, password_file: db.password}}
"""


def as_host(name):
    """Argv that runs what follows on a host of this name, as far as it can see."""
    own = ["unshare", "--uts"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--uts"]
    return [*own, "sh", "-c", 'hostname "$0" && exec "$@"', name]


def test_the_same_file_serves_two_hosts():
    with HttpApp() as app, Postgres() as db:
        text = CONFIG.format(app=app.url, db=db.port)
        nodes = {}
        for name in ("web-a", "web-b"):
            # A shell's HOSTNAME is the one of the machine we really are on; an init system sets none.
            nodes[name] = agent = Agent(text, start=False, argv_prefix=[*as_host(name), "env", "-u", "HOSTNAME"])
            agent.env["NODE_DIR"] = str(agent.folder)
            (agent.folder / "db.password").write_text(db.app_password)
        try:
            for agent in nodes.values():
                agent.start()
                agent.wait_ready()
            assert len({a.config_file.read_text() for a in nodes.values()}) == 1, "not a byte was edited"
            for name, agent in nodes.items():
                agent.wait_for(lambda a=agent: a.health().status == 200)
                status = agent.health("/api/v1/status").json()
                assert status["node"]["name"] == name
                assert status["node"]["labels"] == {"role": "web"}
        finally:
            for agent in nodes.values():
                agent.stop()
                shutil.rmtree(agent.folder, ignore_errors=True)
