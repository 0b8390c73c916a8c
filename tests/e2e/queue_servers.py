"""A message broker for the end-to-end tests, made as those of servers.py are. It wants to be started by root."""
import pathlib
import subprocess

from servers import LOCALHOST, Certificates, Server, free_port, listens
from serving import give


class RabbitMQ(Server):
    """RabbitMQ on `port` in clear and on tls_port with TLS, with a virtual host `app` and, in it, the user app_user that may use
    queues of the name vitald.* and no other. `blind` may log in and do nothing. Starting takes 10 s and more: share one."""

    name = "rabbit"
    runs_as = "rabbitmq"
    app_user, app_password = "monitor", "s3cret-mq"
    bin = pathlib.Path("/usr/lib/rabbitmq/bin")

    def __init__(self):
        super().__init__()
        self.tls_port, self.epmd_port, self.distribution_port = free_port(), free_port(), free_port()
        self.node = f"vt{self.port}@localhost"
        self.become = ["setpriv", f"--reuid={self.runs_as}", f"--regid={self.runs_as}", "--clear-groups"]

    def environment(self):
        # Nothing of this machine's own broker: neither its files, nor its cookie, nor its port mapper.
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": str(self.directory), "RABBITMQ_NODENAME": self.node,
                "RABBITMQ_MNESIA_BASE": f"{self.directory}/data", "RABBITMQ_LOG_BASE": f"{self.directory}/logs",
                "RABBITMQ_CONFIG_FILE": f"{self.directory}/rabbitmq.conf", "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.directory}/plugins", "RABBITMQ_DIST_PORT": str(self.distribution_port),
                "ERL_EPMD_PORT": str(self.epmd_port), "ERL_EPMD_ADDRESS": LOCALHOST,
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}"}

    def prepare(self):
        tls = Certificates.shared()
        (self.directory / "plugins").write_text("[].\n")
        (self.directory / "rabbitmq.conf").write_text("\n".join([
            f"listeners.tcp.1 = {LOCALHOST}:{self.port}", f"listeners.ssl.1 = {LOCALHOST}:{self.tls_port}",
            f"ssl_options.cacertfile = {tls.ca}", f"ssl_options.certfile = {tls.certificate}",
            f"ssl_options.keyfile = {tls.key_for(self.runs_as)}", "ssl_options.verify = verify_none",
            "log.console = true", "log.console.level = info", "log.file = false", "disk_free_limit.absolute = 1MB", ""]))
        give(self.directory, self.runs_as)

    def command(self):
        # epmd would go on for ever by itself: in a PID namespace it ends with the broker. That needs its own /proc there, by
        # which the broker measures its memory.
        variables = [f"{name}={value}" for name, value in self.environment().items()]
        script = f"epmd -port {self.epmd_port} -address {LOCALHOST} & exec {self.bin}/rabbitmq-server"
        return ["unshare", "-p", "--fork", "--kill-child", "--mount-proc", *self.become, "env", "-i", *variables, "sh", "-c", script]

    def is_ready(self):
        return "Server startup complete" in self.log_since(self._log_start) and listens(self.port)

    def start(self, timeout=90.0):
        is_new = not self._is_prepared
        super().start(timeout)
        if is_new:
            user = '{<<"%s">>, <<"^vitald\\\\.">>, <<"^(vitald\\\\..*|amq\\\\.default)$">>, <<"^vitald\\\\.">>}' % self.app_user
            self.evaluate(f"""
                ok = rabbit_vhost:add(<<"app">>, <<"test">>), ok = rabbit_vhost:add(<<"other">>, <<"test">>),
                [begin rabbit_auth_backend_internal:add_user(User, <<"{self.app_password}">>, <<"test">>),
                 rabbit_auth_backend_internal:set_permissions(User, <<"app">>, Configure, Write, Read, <<"test">>) end
                 || {{User, Configure, Write, Read}} <- [{user}, {{<<"blind">>, <<"^$">>, <<"^$">>, <<"^$">>}}]],
                rabbit_amqqueue:declare(rabbit_misc:r(<<"app">>, queue, <<"orders">>), true, false, [], none, <<"test">>)""")
        return self

    def publish(self, count, queue="orders"):
        """So many messages into a queue of the virtual host app."""
        self.evaluate(f'[rabbit_basic:publish(rabbit_misc:r(<<"app">>, exchange, <<>>), <<"{queue}">>, [], <<"x">>)'
                      f' || _ <- lists:seq(1, {count})]')

    def evaluate(self, erlang):
        """Runs a piece of Erlang in the broker: much of what rabbitmqctl can, in one call."""
        return self.control("eval", erlang.strip() + ".")

    def control(self, *words):
        """rabbitmqctl; its output. A call takes a second or more."""
        done = subprocess.run([*self.become, self.bin / "rabbitmqctl", *map(str, words)], env=self.environment(), capture_output=True,
                              text=True, timeout=60, cwd="/", check=False)
        if done.returncode != 0:
            raise RuntimeError(f"rabbitmqctl {words[0]}: {done.stdout}{done.stderr}")
        return done.stdout
