// Agent: the daemon. It owns the engine, the workers, the board and the front, and lives on one loop: every input comes
// in here and every effect goes out here. What it must not do on that loop (load a config, write the state file) is
// done beside it and posted back.
//
//   Loop loop;
//   Agent agent(loop, load_options, loaded);   // binds; throws FrontError or std::system_error
//   return agent.run();                        // until SIGTERM
//
// All on the loop's thread; the files agent_*.cpp are one class: life, reload, spool, write requests.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/admin_api.hpp"
#include "agent/certificate_watch.hpp"
#include "agent/config_diff.hpp"
#include "agent/config_loader.hpp"
#include "agent/failover_control.hpp"
#include "agent/failovers.hpp"
#include "agent/host_watch.hpp"
#include "agent/lag.hpp"
#include "agent/log.hpp"
#include "agent/memory.hpp"
#include "agent/own_trouble.hpp"
#include "agent/performer.hpp"
#include "agent/served_certificates.hpp"
#include "agent/spool.hpp"
#include "agent/spool_folder.hpp"
#include "agent/state_store.hpp"
#include "config/config.hpp"
#include "loop/loop.hpp"
#include "loop/mailbox.hpp"
#include "outputs/outputs.hpp"
#include "probe/pool.hpp"
#include "publish/front.hpp"
#include "publish/view.hpp"

namespace vital {

class Agent {
 public:
  // `loaded` must hold a config.
  Agent(Loop& loop, LoadOptions load, const Loaded& loaded);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Until it is told to stop; 0, or 1 if it had to give up.
  int run();

  // After run(): a thread is still stuck on a file, and must not meet the end of main(): leave by _Exit.
  bool has_strays() const { return has_strays_; }

 private:
  // -- agent.cpp: life; agent_outputs.cpp: who is told
  Ports ports();
  void start();
  void beat();
  void wake_by(Instant due);
  void wake();
  void look_at_host(Instant now);
  void show_soon();
  void show();
  void say(Note::Level level, std::string event, Fields fields);
  void say_all(Now now, const std::vector<Note>& notes);
  void say_listening(const std::vector<std::string>& already);
  std::vector<std::string> listening() const;
  std::string status_text(const Snapshot& snapshot) const;
  std::string worker_metrics() const;
  PortOptions port_options() const;
  OutputHooks output_hooks();
  std::vector<OutputFacts> output_facts() const;
  std::vector<std::string> who_is_left(const std::vector<SeenConsumer>& seen) const;
  void caught(int signal);
  void stop(const std::string& why);
  bool is_leaving_quietly() const;
  void wait_until_left();
  void leave();

  // -- agent_reload.cpp
  void reload(const std::string& asked_by, AdminReply reply);
  void reloaded(const Prepared& prepared);
  void turn_reloads_away();
  void refuse_reload(const std::vector<std::string>& problems);
  void say_changed(const ConfigDiff& changes);
  void adopt(const Prepared& prepared);
  void certificates_changed(const CertificateWatch::News& news);

  // -- agent_spool.cpp
  void watch_spool();
  void spooled(const SpoolListing& listing);
  std::string spool_metrics() const;

  // -- agent_admin.cpp
  void handle(const AdminRequest& request, AdminReply reply);
  void save_state(std::function<void(const std::string& trouble)> tell);
  std::optional<SavedState> load_state();
  void keep_state(JournalState::Kind kind);
  void state_saved(std::uint64_t round, const std::string& trouble);
  void give_up_waiting(Instant now);

  // -- agent_failover.cpp
  void adopt_failover(Now now, const std::vector<std::string>& saved = {});
  void look_at_topologies(Now now);
  void remember_primaries();
  void decided(const failover::Decision& decision);
  void handle_failover(const AdminRequest& request, const std::string& peer, const AdminReply& reply);
  void add_failover_pages();

  Loop& loop_;
  const LoadOptions load_;
  std::shared_ptr<const Config> config_;
  Specs specs_;  // as config_->plan->checks, with the objects the workers know
  Log log_;
  Board board_;
  std::shared_ptr<Mailbox> mail_;
  Memory memory_;
  std::vector<InheritedSocket> inherited_;
  ConfigLoader loader_;
  CertificateWatch certificates_;
  ServedCertificates served_;
  std::unique_ptr<StateStore> store_;
  SpoolBook spool_;
  const std::shared_ptr<Failovers> failovers_ = std::make_shared<Failovers>();  // callbacks of the journal hold it too
  const std::shared_ptr<FailoverBoard> failover_board_ = std::make_shared<FailoverBoard>();  // pages hold it too
  std::unique_ptr<FailoverControl> control_;  // null where no topology has ever had a mode above observe
  bool has_read_records_ = false;             // the journal said who was primary, where it knows
  std::unique_ptr<Front> front_;
  std::unique_ptr<Pool> pool_;
  std::unique_ptr<Outputs> outputs_;
  std::unique_ptr<Performer> performer_;
  std::unique_ptr<SpoolFolder> spool_folder_;
  std::optional<Signals> signals_;
  std::optional<Timer> wake_timer_, beat_timer_, watchdog_timer_, drain_timer_, store_timer_;

  HostWatch host_;
  Pressure pressure_;  // as the engine was last told
  OwnTrouble own_trouble_;
  WorstOfLastMinute lag_;
  Instant woken_at_{};  // when the wake timer ought to fire
  bool is_wake_armed_ = false;
  Instant beat_at_{};  // when the beat ought to come
  Instant shown_at_{};
  bool is_show_due_ = false;

  AgentFacts facts_;
  std::string status_;        // as last told to systemd
  Instant kept_at_{};         // when the whole state was last given to the journal
  Instant saved_at_{};        // when the state was last given to the store
  bool is_save_due_ = false;  // something changed since
  bool is_unsaved_ = false;   // the last save failed, and that was said
  bool is_stopping_ = false;
  Instant drained_since_{};                       // once stopping
  std::optional<std::vector<std::string>> left_;  // who had not left at the last look, once known
  bool has_strays_ = false;
  int code_ = 0;

  // Who waits for a reload: the one under way, and the one after it.
  std::vector<AdminReply> reload_replies_, next_reload_replies_;
  bool is_reload_again_ = false;

  // Who waits for an overlay to be on disk.
  struct Saving {
    std::uint64_t round;
    Instant patience;
    std::function<void(const std::string& trouble)> tell;
  };
  std::deque<Saving> saving_;
  std::uint64_t saving_round_ = 0;
};

}  // namespace vital
