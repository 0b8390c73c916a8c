#include "smb_client.hpp"

#include <fcntl.h>
#include <libsmbclient.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>

namespace vital::check::smb {
namespace {

// While it lives, a home with a configuration of Samba that is ours. libsmbclient reads one once in a process, the
// first of ~/.smb/smb.conf and this machine's; and it would keep a cache in this machine's folders.
class OwnHome {
 public:
  OwnHome() {
    sweep();
    char name[] = "/tmp/vitald-smb-XXXXXX";
    if (mkdtemp(name) == nullptr)
      throw Stop(unknown(Cause::agent, std::string("no temporary directory to be had: ") + std::strerror(errno)));
    folder_ = name;
    mkdir((folder_ + "/.smb").c_str(), 0700);
    std::ofstream file(folder_ + "/.smb/smb.conf");
    file << "[global]\nlog level = 0\ndisable netbios = yes\nname resolve order = host\ndeadtime = 0\n"
            "client signing = if_required\nsocket options = TCP_NODELAY\n";
    // Gone when it is over: there is no cache.
    for (const char* folder : {"lock", "state", "cache", "private"})
      file << folder << (folder == std::string_view("private") ? " dir = " : " directory = ") << folder_ << "/none\n";
    const char* home = getenv("HOME");
    if (home != nullptr) home_ = home;
    setenv("HOME", folder_.c_str(), 1);
  }
  ~OwnHome() {
    if (home_) {
      setenv("HOME", home_->c_str(), 1);
    } else {
      unsetenv("HOME");
    }
    remove(folder_);
  }
  OwnHome(const OwnHome&) = delete;
  OwnHome& operator=(const OwnHome&) = delete;

 private:
  static void remove(const std::string& folder) {
    unlink((folder + "/.smb/smb.conf").c_str());
    rmdir((folder + "/.smb").c_str());
    rmdir(folder.c_str());
  }

  // What a worker left that was killed meanwhile: ours, and older than any probe can be.
  static void sweep() {
    constexpr std::time_t old = 3600;  // seconds
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/tmp", error)) {
      if (entry.path().filename().string().rfind("vitald-smb-", 0) != 0) continue;
      struct stat seen {};
      if (lstat(entry.path().c_str(), &seen) != 0 || !S_ISDIR(seen.st_mode) || seen.st_uid != geteuid()) continue;
      if (std::time(nullptr) - seen.st_mtime > old) remove(entry.path().string());
    }
  }

  std::string folder_;
  std::optional<std::string> home_;
};

SMBCCTX* new_context() {
  static bool has_begun = false;
  if (has_begun) return smbc_new_context();
  const OwnHome home;
  has_begun = true;
  return smbc_new_context();
}

void put(char* to, int size, const std::string& text) {
  if (size > 0) std::snprintf(to, static_cast<std::size_t>(size), "%s", text.c_str());
}

void give_credentials(SMBCCTX* context, const char*, const char*, char* domain, int domain_size, char* user,
                      int user_size, char* password, int password_size) {
  const auto& place = *static_cast<const Place*>(smbc_getOptionUserData(context));
  if (!place.domain.empty()) put(domain, domain_size, place.domain);
  put(user, user_size, place.user);
  put(password, password_size, place.password);
}

// The lines of its chatter that matter: one tells a login that is rejected from a share that is refused, the other a
// session that is encrypted from one that was to be: it goes on in clear where the server has no encryption.
void hear(void* heard, int, const char* text) {
  auto& h = *static_cast<Heard*>(heard);
  if (std::strstr(text, "session setup ok") != nullptr) h.is_logged_in = true;
  if (std::strstr(text, "Encrypted SMB2 message") != nullptr) h.is_encrypted = true;
}

// While it lives, what is printed goes nowhere: libsmbclient says on standard output that there is no encryption.
class Quiet {
 public:
  Quiet() : nowhere_(open("/dev/null", O_WRONLY | O_CLOEXEC)), kept_(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)) {
    std::fflush(stdout);
    if (kept_ >= 0 && nowhere_ >= 0) dup2(nowhere_, STDOUT_FILENO);
  }
  ~Quiet() {
    std::fflush(stdout);
    if (kept_ >= 0) dup2(kept_, STDOUT_FILENO);
    for (const int fd : {nowhere_, kept_}) {
      if (fd >= 0) close(fd);
    }
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  int nowhere_, kept_;
};

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '/' || c == '-' || c == '_' || c == '.') {
      out += c;
    } else {
      out += '%';
      out += "0123456789ABCDEF"[byte >> 4];
      out += "0123456789ABCDEF"[byte & 15];
    }
  }
  return out;
}

}  // namespace

Client::Client(const Place& place, const Address& address, const Fuse& fuse)
    : place_(place), address_(address), fuse_(fuse), context_(new_context()) {
  if (context_ == nullptr) throw Stop(unknown(Cause::agent, "libsmbclient has no memory"));
  smbc_setLogCallback(context_, &heard_, hear);
  smbc_setDebug(context_, 0);
  smbc_setFunctionAuthDataWithContext(context_, give_credentials);
  smbc_setOptionUserData(context_, const_cast<Place*>(&place_));  // its type has no const; it is only read
  smbc_setOptionNoAutoAnonymousLogin(context_, 1);
  smbc_setOptionUseKerberos(context_, 0);
  smbc_setOptionUseCCache(context_, 0);
  smbc_setOptionOneSharePerServer(context_, 0);
  smbc_setPort(context_, static_cast<uint16_t>(place_.port));
  smbc_setOptionSmbEncryptionLevel(context_, place_.must_encrypt ? SMBC_ENCRYPTLEVEL_REQUIRE : SMBC_ENCRYPTLEVEL_NONE);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(fuse_.at() - monotonic_now()).count();
  smbc_setTimeout(context_, static_cast<int>(std::max<long long>(left, 1) + 1000));  // the fuse comes first
  if (smbc_init_context(context_) == nullptr) {
    const int error = errno;
    smbc_free_context(context_, 1);
    throw Stop(unknown(Cause::agent, std::string("libsmbclient cannot begin: ") + std::strerror(error)));
  }
  smbc_setOptionProtocols(context_, place_.least_dialect.c_str(), "SMB3");
}

Client::~Client() { smbc_free_context(context_, 1); }

std::string Client::url(const std::string& file) const {
  return "smb://" + address_.numeric + "/" + escaped(place_.share) + (file.empty() ? "" : "/" + escaped(file));
}

void Client::log_in() {
  smbc_setDebug(context_, place_.must_encrypt ? 10 : 5);  // heard, not printed
  struct stat about {};
  int code = 0;
  int error = 0;
  {
    const Quiet quiet;
    code = smbc_getFunctionStat(context_)(context_, url("").c_str(), &about);
    error = errno;
  }
  smbc_setDebug(context_, 0);
  if (code != 0) login_failed(error);
  if (place_.must_encrypt && !heard_.is_encrypted) {
    throw Stop(fail(Cause::protocol, "login as " + place_.user + " to " + place_.target() +
                                         ": the session is not encrypted; does the server have encryption on?"));
  }
}

void Client::login_failed(int error) const {
  if (heard_.is_logged_in) {
    const std::string doing = "connect to the share " + place_.target();
    if (error == ENOENT || error == ENODEV) throw Stop(fail(Cause::content, doing + ": there is no such share"));
    stop(doing, error);
  }
  const std::string login = "login as " + place_.user + " to " + place_.target();
  if (fuse_.has_blown()) throw Stop(fail(Cause::timeout, login + ": no end of it in time"));
  switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
      throw Stop(connect_failure(error, with_port(place_.host, place_.port)));
    case EACCES:
    case EPERM:
      throw Stop(unknown(Cause::auth, login + " refused: " + std::strerror(error)));
    default:
      throw Stop(fail(Cause::protocol, login + ": broken off before it was done (" + std::strerror(error) +
                                           "); does it speak the dialect that is wanted?"));
  }
}

void Client::stop(const std::string& doing, int error) const {
  const std::string text = doing + ": " + std::strerror(error);
  if (fuse_.has_blown()) throw Stop(fail(Cause::timeout, doing + ": no answer in time"));
  switch (error) {
    case EACCES:
    case EPERM:
      throw Stop(unknown(Cause::auth, text + "; " + place_.user + " needs access"));
    case EROFS:
      throw Stop(fail(Cause::role, text));
    case ENOMEM:
      throw Stop(unknown(Cause::agent, text));
    case ETIMEDOUT:
      throw Stop(fail(Cause::timeout, text));
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
      throw Stop(fail(Cause::protocol, text));
    default:
      throw Stop(fail(Cause::content, text));
  }
}

shares::Space Client::space() {
  struct statvfs fs {};
  std::string root = url("");
  if (smbc_getFunctionStatVFS(context_)(context_, root.data(), &fs) != 0) stop("its space", errno);
  // libsmbclient counts the blocks in fragments, and those in sectors.
  const double block = static_cast<double>(fs.f_bsize) * static_cast<double>(fs.f_frsize);
  return {static_cast<double>(fs.f_bfree) * block, static_cast<double>(fs.f_blocks) * block};
}

std::string Client::read(const std::string& file) {
  const std::string doing = "read " + file;
  SMBCFILE* handle = smbc_getFunctionOpen(context_)(context_, url(file).c_str(), O_RDONLY, 0);
  if (handle == nullptr) stop(doing, errno);
  std::string content(shares::most_bytes + 1, '\0');
  std::size_t have = 0;
  while (have < content.size()) {
    const ssize_t n = smbc_getFunctionRead(context_)(context_, handle, content.data() + have, content.size() - have);
    if (n < 0) stop(doing, errno);
    if (n == 0) break;
    have += static_cast<std::size_t>(n);
  }
  content.resize(have);
  if (smbc_getFunctionClose(context_)(context_, handle) != 0) stop(doing, errno);
  return content;
}

void Client::write(const std::string& file, const std::string& text) {
  const std::string doing = "write " + file;
  SMBCFILE* handle = smbc_getFunctionOpen(context_)(context_, url(file).c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (handle == nullptr) stop(doing, errno);
  errno = ENOSPC;  // what a short write without an error means
  const ssize_t written = smbc_getFunctionWrite(context_)(context_, handle, text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) stop(doing, errno);
  if (smbc_getFunctionClose(context_)(context_, handle) != 0) stop(doing, errno);
}

}  // namespace vital::check::smb
