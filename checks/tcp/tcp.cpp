// The tcp check: connects, and if told to sends something and waits for an answer, in clear or over TLS. Async, on the
// worker's loop; see probe.hpp for the course of one attempt.
#include <vitald/check.hpp>

#include "../net/check_of.hpp"
#include "probe.hpp"
#include "settings.hpp"

namespace vital::tcp {
namespace {

using TcpCheck = net::CheckOf<TcpProbe, read_settings>;

using check::OptionRow;
using check::Type;

constexpr const char* families[] = {"any", "4", "6", nullptr};
constexpr const char* tls_modes[] = {"off", "prefer", "require", "verify", nullptr};

constexpr OptionRow options[] = {
    {"address", Type::string, nullptr, "Where to connect, HOST:PORT; or write host and port.", "127.0.0.1:6379"},
    {"host", Type::string, nullptr, "Where to connect, with port."},
    {"port", Type::integer, nullptr, "Where to connect, with host.", nullptr, 0, nullptr, 1, 65535},
    {"send", Type::string, nullptr, "What to send once connected; \\r \\n \\t \\0 \\xHH are escapes.", "PING\\r\\n"},
    {"expect", Type::string, nullptr,
     "What the answer must contain: a text with the same escapes, or ~PATTERN for a regular expression.", "+PONG"},
    {"family", Type::choice, "any", "IP version a name is resolved to.", nullptr, 0, families},
    {"tls.mode", Type::choice, "off", "verify the certificate, require encryption alone, or off.", nullptr, 0,
     tls_modes},
    {"tls.ca", Type::string, nullptr, "File or directory of authorities to trust instead of the system's.",
     "/etc/ssl/internal-ca.pem"},
    {"tls.certificate", Type::string, nullptr, "Our certificate, PEM, with its chain."},
    {"tls.key", Type::string, nullptr, "Its private key, PEM, without a password; default: in the same file."},
    {"tls.server_name", Type::string, nullptr, "Name to send (SNI) and verify instead of the host."},
    {"tls.warn_days", Type::integer, "0", "Warn if the certificate ends in fewer days; 0 never does.", nullptr, 0,
     nullptr, 0, 3650},
};

}  // namespace
}  // namespace vital::tcp

using vital::tcp::TcpCheck;
VITAL_ASYNC_MODULE(TcpCheck, "tcp", VITALD_VERSION, "connects, sends, and waits for an answer, in clear or over TLS",
                   vital::tcp::options)
