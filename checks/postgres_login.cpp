#include "postgres_login.hpp"

#include <array>
#include <new>

namespace vital::check::postgres {

Place Place::options(const Options& o) {
  Place place;
  place.host = o.text("host");
  place.port = o.integer("port");
  place.family = family_option(o);
  place.user = o.text("user");
  place.password = o.text_or("password", "");
  place.database = o.text_or("database", place.user);
  place.ca = o.text_or("tls.ca", "");
  place.certificate = o.text_or("tls.certificate", "");
  place.key = o.text_or("tls.key", "");
  place.server_name = o.text_or("tls.server_name", "");
  const std::string mode = o.text("tls.mode");
  place.sslmode = mode == "off" ? "disable" : mode == "verify" ? "verify-full" : mode;
  if (place.host.empty()) {
    throw Invalid("host", "is empty; write a name, an address, or the directory of a Unix socket");
  }
  if (place.certificate.empty() != place.key.empty()) {
    throw Invalid(place.key.empty() ? "tls.key" : "tls.certificate",
                  "tls.certificate and tls.key need each other: write both");
  }
  if (place.is_unix() && (mode == "require" || mode == "verify")) {
    throw Invalid("tls.mode", "a Unix socket has no TLS; write tls: {mode: off}, or a host name");
  }
  if (mode == "verify" && place.ca.empty()) place.ca = system_authorities;
  // With sslmode=require libpq verifies as soon as there is an authority's file; require means encryption alone here.
  if (mode != "verify") place.ca.clear();
  return place;
}

void Progress::reach(LoginStage next) {
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

void Progress::stop_here() {
  watch.lap(stage == LoginStage::connect ? Phase::connect : stage == LoginStage::tls ? Phase::tls : Phase::auth);
}

Result& Progress::into(Result& result) const {
  if (!address.empty()) result.fact("address", address);
  if (!tls.empty()) result.fact("tls", tls);
  return watch.into(result);
}

namespace {

PGconn* start(const Place& place, const std::string& address, Duration until) {
  const std::string port = std::to_string(place.port);
  const std::string patience =
      std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(until - monotonic_now()).count());
  const std::string& name = place.server_name.empty() ? place.host : place.server_name;
  const std::array<std::pair<const char*, const char*>, 15> parameters{{
      {"host", name.c_str()},  // with hostaddr: only the name that is sent and verified in TLS
      {"hostaddr", place.is_unix() ? "" : address.c_str()},
      {"port", port.c_str()},
      {"user", place.user.c_str()},
      {"password", place.password.c_str()},
      {"dbname", place.database.c_str()},
      {"application_name", "vitald"},
      {"client_encoding", "UTF8"},
      {"sslmode", place.sslmode.c_str()},
      {"sslrootcert", place.ca.c_str()},
      {"sslcert", place.certificate.c_str()},
      {"sslkey", place.key.c_str()},
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

LoginStage stage_of(ConnStatusType status) {
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

Connection log_in_at(const Place& place, const std::string& address, Duration until, Progress& progress) {
  Connection owner(start(place, address, until));
  PGconn* connection = owner.get();
  if (connection == nullptr) throw std::bad_alloc();
  PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);  // puts the SQLSTATE into the text
  PQsetNoticeProcessor(
      connection, [](void*, const char*) {}, nullptr);
  auto waits_for = PQstatus(connection) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (waits_for != PGRES_POLLING_OK && waits_for != PGRES_POLLING_FAILED) {
    const bool is_ready = wait_for(PQsocket(connection), waits_for == PGRES_POLLING_READING ? POLLIN : POLLOUT, until);
    if (!is_ready || monotonic_now() >= until) {  // ready may mean that the fuse was quicker than our own wait
      throw Stop(login_timeout(progress.stage, place.target(), in_words(progress.watch.elapsed())));
    }
    waits_for = PQconnectPoll(connection);
    const LoginStage now = stage_of(PQstatus(connection));
    // With sslmode=prefer libpq answers a rejected login with a second one without TLS: twice the wrong password in the
    // server's log, and accounts are locked by that. What the server has said once is enough.
    const bool is_second_try = progress.stage == LoginStage::login && now == LoginStage::connect;
    if (is_second_try && !sqlstate_in(PQerrorMessage(connection)).empty()) waits_for = PGRES_POLLING_FAILED;
    if (waits_for != PGRES_POLLING_FAILED) progress.reach(now);
  }
  if (waits_for == PGRES_POLLING_FAILED) {
    throw Stop(login_failure(progress.stage, place.user, place.target(), PQerrorMessage(connection)));
  }
  progress.reach(LoginStage::done);
  if (PQsslInUse(connection) != 0) progress.tls = PQsslAttribute(connection, "protocol");
  return owner;
}

// Asks the server to end what the connection runs, over a connection of its own; the fuse ends that one too.
void cancel(PGconn* connection) {
  struct FreeCancel {
    void operator()(PGcancel* c) const { PQfreeCancel(c); }
  };
  const std::unique_ptr<PGcancel, FreeCancel> request(PQgetCancel(connection));
  char words[256];
  if (request != nullptr) PQcancel(request.get(), words, sizeof words);
}

Table table_of(const PGresult* result) {
  Table table;
  for (int c = 0; c < PQnfields(result); ++c) table.columns.emplace_back(PQfname(result, c));
  for (int r = 0; r < PQntuples(result); ++r) {
    auto& row = table.rows.emplace_back();
    for (int c = 0; c < PQnfields(result); ++c) row.emplace_back(PQgetvalue(result, r, c));
  }
  return table;
}

// Waits until a whole result can be had. False if it did not come in time.
bool wait_for_result(PGconn* connection, Duration until) {
  while (PQisBusy(connection) != 0) {
    if (!wait_for(PQsocket(connection), POLLIN, until)) return false;
    if (PQconsumeInput(connection) == 0) return true;  // broken: the result says so
  }
  return true;
}

}  // namespace

Connection log_in(const Place& place, const Fuse& fuse, Progress& progress) {
  need_readable("tls.ca", place.ca);
  need_readable("tls.certificate", place.certificate);
  need_readable("tls.key", place.key);
  std::vector<Address> addresses;
  if (place.is_unix()) {
    addresses.emplace_back();
  } else {
    addresses = resolve(place.host, place.port, fuse.at(), place.family);
    progress.watch.lap(Phase::resolve);
  }
  for (std::size_t i = 0;; ++i) {
    const std::size_t left = addresses.size() - i;
    progress.address = addresses[i].numeric;
    try {
      return log_in_at(place, addresses[i].numeric, share_until(fuse.at(), left), progress);
    } catch (const Stop&) {
      // Only an address that nobody answers on is a reason to try the next one.
      if (left > 1 && progress.stage == LoginStage::connect) continue;
      progress.stop_here();
      throw;
    }
  }
}

std::string Table::at(std::size_t row, const std::string& column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  if (found == columns.end() || row >= rows.size()) return {};
  return rows[row][static_cast<std::size_t>(found - columns.begin())];
}

Outcome execute(PGconn* connection, const std::string& sql, Duration until, Duration last) {
  struct FreeResult {
    void operator()(PGresult* r) const { PQclear(r); }
  };
  Outcome out;
  PQsetNoticeProcessor(
      connection, [](void* to, const char* text) { *static_cast<std::string*>(to) += text; }, &out.notice);
  if (PQsendQuery(connection, sql.c_str()) == 0) out.error = PQerrorMessage(connection);
  while (out.error.empty()) {
    if (!wait_for_result(connection, out.is_late ? last : until)) {
      if (out.is_late) break;
      out.is_late = true;
      cancel(connection);
      continue;
    }
    const std::unique_ptr<PGresult, FreeResult> result(PQgetResult(connection));
    if (result == nullptr) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_TUPLES_OK) {
      out.table = table_of(result.get());
    } else if (status != PGRES_COMMAND_OK) {
      out.error = PQresultErrorMessage(result.get());
      if (out.error.empty()) out.error = "the connection broke";
    }
  }
  if (monotonic_now() >= last && !out.error.empty() && sqlstate_in(out.error).empty()) out.is_late = true;
  PQsetNoticeProcessor(
      connection, [](void*, const char*) {}, nullptr);
  return out;
}

}  // namespace vital::check::postgres
