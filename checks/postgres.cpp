// The postgres check: logs in as the application does, asks the server who it is (primary or standby, writable or not),
// runs a query, compares its answer, and says goodbye. libpqxx keeps the session; the login itself is driven step by
// step through libpq, on which libpqxx stands, because only so does it keep a deadline below two seconds, tell connect
// from TLS from login, and give the server's SQLSTATE, which is the same in every language. [worker]
#include <libpq-fe.h>

#include <array>
#include <pqxx/pqxx>

#include "blocking.hpp"
#include "postgres_verdict.hpp"

namespace vital::check::postgres {
namespace {

struct Plan {
  std::string host, user, password, database, query, role, sslmode, ca, certificate, key, server_name;
  std::optional<std::string> expect;
  long long port;
  bool is_unix() const { return host.front() == '/'; }
  std::string target() const { return is_unix() ? host : with_port(host, port); }
};

// Where a login stands, for the phases of the result and for judging what broke.
struct Progress {
  Stopwatch watch;
  LoginStage stage = LoginStage::connect;
  std::string tls;  // "TLSv1.3" once it is in use

  void reach(LoginStage next) {
    if (next == stage) return;
    if (stage == LoginStage::login && next == LoginStage::tls) {  // the connection was made, and asks for TLS first
      stage = next;
      return;
    }
    switch (stage) {
      case LoginStage::connect:
        watch.lap(Phase::connect);
        break;
      case LoginStage::tls:
        watch.lap(Phase::tls);
        break;
      case LoginStage::login:
      case LoginStage::done:
        watch.lap(Phase::auth);
        break;
    }
    stage = next;
  }
};

// How libpqxx gets its connection: one address, one deadline. Throws Stop with the verdict.
class Login final : public pqxx::connectionpolicy {
 public:
  Login(const Plan& plan, std::string address, Duration until, Progress& progress)
      : connectionpolicy(""), plan_(plan), address_(std::move(address)), until_(until), progress_(progress) {}

  handle do_startconnect(handle orig) override { return orig; }
  bool is_ready(handle) const noexcept override { return true; }
  // libpqxx calls this again if the connection breaks during a query: a second login would hide the first's end.
  handle do_completeconnect(handle orig) override {
    if (orig != nullptr) return orig;
    if (was_used_) throw pqxx::broken_connection("the connection broke");
    was_used_ = true;
    Connection connection(start());
    if (connection == nullptr) throw std::bad_alloc();
    finish(connection.get());
    return connection.release();
  }

 private:
  struct Finish {
    void operator()(PGconn* c) const { PQfinish(c); }
  };
  using Connection = std::unique_ptr<PGconn, Finish>;

  PGconn* start() const {
    const std::string port = std::to_string(plan_.port);
    const std::string patience =
        std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(until_ - monotonic_now()).count());
    const std::string& name = plan_.server_name.empty() ? plan_.host : plan_.server_name;
    const std::array<std::pair<const char*, const char*>, 15> parameters{{
        {"host", name.c_str()},  // with hostaddr: only the name that is sent and verified in TLS
        {"hostaddr", plan_.is_unix() ? "" : address_.c_str()},
        {"port", port.c_str()},
        {"user", plan_.user.c_str()},
        {"password", plan_.password.c_str()},
        {"dbname", plan_.database.c_str()},
        {"application_name", "vitald"},
        {"client_encoding", "UTF8"},
        {"sslmode", plan_.sslmode.c_str()},
        {"sslrootcert", plan_.ca.c_str()},
        {"sslcert", plan_.certificate.c_str()},
        {"sslkey", plan_.key.c_str()},
        {"gssencmode", "disable"},
        {"passfile", "/dev/null/none"},  // the password comes from the config and from nowhere else
        {"tcp_user_timeout", patience.c_str()},
    }};
    std::array<const char*, parameters.size() + 1> keys{}, values{};
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      keys[i] = parameters[i].first;
      values[i] = parameters[i].second;
    }
    return PQconnectStartParams(keys.data(), values.data(), 0);
  }

  void finish(PGconn* connection) {
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);  // puts the SQLSTATE into the text
    PQsetNoticeProcessor(
        connection, [](void*, const char*) {}, nullptr);
    auto waits_for = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
    while (waits_for != PGRES_POLLING_OK && waits_for != PGRES_POLLING_FAILED) {
      const bool is_ready =
          wait_for(PQsocket(connection), waits_for == PGRES_POLLING_READING ? POLLIN : POLLOUT, until_);
      if (!is_ready || monotonic_now() >= until_) {  // ready may mean that the fuse was quicker than our own wait
        throw Stop(login_timeout(progress_.stage, plan_.target(), in_words(progress_.watch.elapsed())));
      }
      waits_for = PQconnectPoll(connection);
      const LoginStage now = stage_of(PQstatus(connection));
      // With sslmode=prefer libpq answers a rejected login with a second one without TLS: twice the wrong password in
      // the server's log, and accounts are locked by that. What the server has said once is enough.
      const bool is_second_try = progress_.stage == LoginStage::login && now == LoginStage::connect;
      if (is_second_try && !sqlstate_in(PQerrorMessage(connection)).empty()) waits_for = PGRES_POLLING_FAILED;
      if (waits_for != PGRES_POLLING_FAILED) progress_.reach(now);
    }
    if (waits_for == PGRES_POLLING_FAILED) {
      throw Stop(login_failure(progress_.stage, plan_.user, plan_.target(), PQerrorMessage(connection)));
    }
    progress_.reach(LoginStage::done);
    if (PQsslInUse(connection) != 0) progress_.tls = PQsslAttribute(connection, "protocol");
  }

  static LoginStage stage_of(ConnStatusType status) {
    switch (status) {
      case CONNECTION_NEEDED:
      case CONNECTION_STARTED:
        return LoginStage::connect;
      case CONNECTION_SSL_STARTUP:
        return LoginStage::tls;
      case CONNECTION_OK:
        return LoginStage::done;
      default:
        return LoginStage::login;
    }
  }

  const Plan& plan_;
  const std::string address_;
  const Duration until_;
  Progress& progress_;
  bool was_used_ = false;
};

// A libpqxx connection over our own login. Its end sends Terminate.
class Session final : public pqxx::connection_base {
 public:
  explicit Session(Login& login) : connection_base(login) { init(); }
  ~Session() { close(); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};

std::string text_of(const pqxx::field& f) { return f.is_null() ? "NULL" : std::string(f.c_str(), f.size()); }

class Postgres final : public Blocking {
 public:
  explicit Postgres(const Options& o) {
    plan_.host = o.text("host");
    plan_.port = o.integer("port");
    plan_.user = o.text("user");
    plan_.password = o.text_or("password", "");
    plan_.database = o.text_or("database", plan_.user);
    plan_.query = o.text("query");
    if (o.has("expect")) plan_.expect = o.text("expect");
    plan_.role = o.text("role");
    plan_.ca = o.text_or("tls.ca", "");
    plan_.certificate = o.text_or("tls.certificate", "");
    plan_.key = o.text_or("tls.key", "");
    plan_.server_name = o.text_or("tls.server_name", "");
    const std::string mode = o.text("tls.mode");
    plan_.sslmode = mode == "off" ? "disable" : mode == "verify" ? "verify-full" : mode;
    if (plan_.host.empty())
      throw Invalid("host", "is empty; write a name, an address, or the directory of a Unix socket");
    if (plan_.query.find_first_not_of(" \t\r\n;") == std::string::npos)
      throw Invalid("query", "is empty; leave it out for SELECT 1");
    if (plan_.certificate.empty() != plan_.key.empty()) {
      throw Invalid(plan_.key.empty() ? "tls.key" : "tls.certificate",
                    "tls.certificate and tls.key need each other: write both");
    }
    if (plan_.is_unix() && (mode == "require" || mode == "verify")) {
      throw Invalid("tls.mode", "a Unix socket has no TLS; write tls: {mode: off}, or a host name");
    }
    if (mode == "verify" && plan_.ca.empty()) plan_.ca = system_authorities;
    // With sslmode=require libpq verifies as soon as there is an authority's file; require means encryption alone here.
    if (mode != "verify") plan_.ca.clear();
  }

  Result probe(const Attempt& attempt) override {
    Progress progress;
    Result result;
    try {
      result = run(attempt, progress);
    } catch (const Stop& stop) {
      result = stop.result;
    }
    if (!progress.tls.empty()) result.fact("tls", progress.tls);
    return progress.watch.into(result);
  }

 private:
  Result run(const Attempt& attempt, Progress& progress) const {
    need_readable("tls.ca", plan_.ca);
    need_readable("tls.certificate", plan_.certificate);
    need_readable("tls.key", plan_.key);
    const Fuse fuse(give_up_at(attempt));
    std::vector<Address> addresses;
    if (plan_.is_unix()) {
      addresses.emplace_back();
    } else {
      addresses = resolve(plan_.host, plan_.port, fuse.at());
      progress.watch.lap(Phase::resolve);
    }
    for (std::size_t i = 0;; ++i) {
      const std::size_t left = addresses.size() - i;
      try {
        Login login(plan_, addresses[i].numeric, share_until(fuse.at(), left), progress);
        Session session(login);
        return ask(session, progress, fuse);
      } catch (const Stop&) {
        // Only an address that nobody answers on is a reason to try the next one.
        if (left == 1 || progress.stage != LoginStage::connect) throw;
      }
    }
  }

  // What the session tells: identity first, then the user's query.
  Result ask(Session& session, Progress& progress, const Fuse& fuse) const {
    Identity who;
    who.version = session.server_version();
    pqxx::nontransaction work(session);
    const std::string doing[] = {"asking " + plan_.target() + " for its role",
                                 "query \"" + tidy(plan_.query, 80) + "\" on " + plan_.target() + "/" + plan_.database};
    const std::string* now = &doing[0];
    Result result;
    try {
      const pqxx::result row = work.exec(patience(fuse) + identity_query);
      who.is_standby = text_of(row[0][0]) == "t";
      who.is_read_only = text_of(row[0][1]) == "on";
      who.read_only_source = text_of(row[0][2]);
      who.connections = row[0][3].as<double>(0);
      who.max_connections = row[0][4].as<double>(0);
      now = &doing[1];
      const pqxx::result answer = work.exec(patience(fuse) + plan_.query);
      progress.watch.lap(Phase::exchange);
      const bool is_empty = answer.empty() || answer.columns() == 0;
      result = judge(who, plan_.role, plan_.target(), plan_.expect,
                     is_empty ? std::nullopt : std::optional(text_of(answer[0][0])), *now);
    } catch (const pqxx::failure& e) {
      progress.watch.lap(Phase::exchange);
      const std::string text = sqlstate_in(e.what()).empty() && !session.is_open() ? "the connection broke" : e.what();
      if (fuse.has_blown() && sqlstate_in(text).empty()) {
        result = fail(Cause::timeout, *now + ": no answer within " + in_words(progress.watch.elapsed()));
      } else {
        result = query_failure(*now, text);
      }
    }
    return who.describe(std::move(result));
  }

  // The server is told to give up a little before we do, so that it works on for nobody and its own words arrive. SET
  // LOCAL in front of the query costs no round trip, and leaves nothing behind in a pooled connection.
  static std::string patience(const Fuse& fuse) {
    const Duration all = fuse.at() - monotonic_now();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        all - std::min<Duration>(all / 10, std::chrono::milliseconds(50)));
    return "SET LOCAL statement_timeout = " + std::to_string(std::max<long long>(left.count(), 1)) + "; ";
  }

  Plan plan_;
};

constexpr const char* roles[] = {"primary", "standby", "any", nullptr};
constexpr const char* tls_modes[] = {"off", "prefer", "require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"host", Type::string, "127.0.0.1", "name or address of the server, or the directory of its Unix socket",
     "db1.example.jp"},
    {"port", Type::integer, "5432", "port of the server, or of PgBouncer", nullptr, 0, nullptr, 1, 65535},
    {"user", Type::string, nullptr, "who logs in", "monitor", VITAL_OPTION_REQUIRED},
    {"password", Type::string, nullptr, "the user's password", nullptr, VITAL_OPTION_SECRET},
    {"database", Type::string, nullptr, "the database to log in to; default the user's name", "app"},
    {"query", Type::string, "SELECT 1", "runs after the login; should be quick and return one row"},
    {"expect", Type::string, nullptr, "what the first column of the query's first row must be", "1"},
    {"role", Type::choice, "any", "what the server must be; a primary must also accept writes", "primary", 0, roles},
    {"tls.mode", Type::choice, "prefer",
     "off; prefer (if the server has it); require (without looking at the certificate); verify (certificate and name)",
     nullptr, 0, tls_modes},
    {"tls.ca", Type::string, nullptr, "file with the authorities that verify trusts; default the system's",
     "/etc/vitald/ca.pem"},
    {"tls.certificate", Type::string, nullptr, "file with our own certificate"},
    {"tls.key", Type::string, nullptr, "file with its private key"},
    {"tls.server_name", Type::string, nullptr, "the name the certificate must carry; default the host"},
};

}  // namespace
}  // namespace vital::check::postgres

using vital::check::postgres::options;
using vital::check::postgres::Postgres;
VITAL_BLOCKING_MODULE(Postgres, "postgres", "1.0", "PostgreSQL: login, role, and the answer to a query", options)
