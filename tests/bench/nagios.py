"""A real Nagios Core that runs one plugin for many services, for the benchmarks: as root as the agent beside it, without
notifications, performance data or anything else that is not running the plugin."""
import shutil

from servers import Server

PROGRAM = shutil.which("nagios4", path="/usr/sbin:/usr/bin")


class Nagios(Server):
    """`count` services, each of which runs `plugin` (a list) every second."""

    name = "nagios"
    user = "root"

    def __init__(self, plugin, count):
        super().__init__()
        self.plugin, self.count = plugin, count

    def prepare(self):
        (self.directory / "results").mkdir(exist_ok=True)
        services = "".join(f"""
define service {{
  host_name here
  service_description s{n}
  check_command it
  check_interval 1
  retry_interval 1
  max_check_attempts 3
  check_period always
  notifications_enabled 0
}}""" for n in range(self.count))
        (self.directory / "objects.cfg").write_text(f"""
define timeperiod {{
  timeperiod_name always
  alias always
  {chr(10).join(f"  {day} 00:00-24:00" for day in "sunday monday tuesday wednesday thursday friday saturday".split())}
}}
define command {{
  command_name it
  command_line {" ".join(self.plugin)}
}}
define contact {{
  contact_name nobody
  host_notifications_enabled 0
  service_notifications_enabled 0
  service_notification_period always
  host_notification_period always
  service_notification_commands it
  host_notification_commands it
}}
define host {{
  host_name here
  address 127.0.0.1
  max_check_attempts 1
  active_checks_enabled 0
  notifications_enabled 0
  contacts nobody
}}{services}
""")
        (self.directory / "nagios.cfg").write_text(f"""
cfg_file={self.directory}/objects.cfg
log_file={self.directory}/nagios.log
object_cache_file={self.directory}/objects.cache
precached_object_file={self.directory}/objects.precache
status_file={self.directory}/status.dat
status_update_interval=30
lock_file={self.directory}/nagios.pid
temp_file={self.directory}/nagios.tmp
temp_path={self.directory}
check_result_path={self.directory}/results
query_socket={self.directory}/nagios.qh
nagios_user=root
nagios_group=root
interval_length=1
check_external_commands=0
enable_notifications=0
process_performance_data=0
retain_state_information=0
use_syslog=0
log_initial_states=0
service_inter_check_delay_method=s
max_service_check_spread=1
max_concurrent_checks=0
check_service_freshness=0
check_for_updates=0
enable_event_handlers=0
enable_environment_macros=0
""")

    def command(self):
        return [PROGRAM, str(self.directory / "nagios.cfg")]

    def is_ready(self):
        return (self.directory / "nagios.qh").exists()
