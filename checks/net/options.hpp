// The option rows that all checks which talk over a connection share, put behind the rows of their own. Pure.
//
//   constexpr OptionRow own[] = {{"port", Type::integer, "6379", "..."}};
//   constexpr auto options = net::with_connection(own);
//   VITAL_ASYNC_MODULE(Check, "x", "1.0", "...", options.rows)
#pragma once

#include <cstddef>
#include <vitald/check.hpp>

namespace vital::net {

template <size_t N>
struct Rows {
  check::OptionRow rows[N];
};

namespace detail {

inline constexpr const char* families[] = {"any", "4", "6", nullptr};
inline constexpr const char* tls_modes[] = {"off", "require", "verify", nullptr};

}  // namespace detail

// `tls` is the default of tls.mode.
template <size_t N>
constexpr Rows<N + 7> with_connection(const check::OptionRow (&own)[N], const char* tls = "off") {
  using check::Type;
  Rows<N + 7> out{};
  for (size_t i = 0; i < N; ++i) out.rows[i] = own[i];
  const check::OptionRow shared[] = {
      {"family", Type::choice, "any", "IP version a name is resolved to.", nullptr, 0, detail::families},
      {"tls.mode", Type::choice, tls, "verify the certificate, require encryption alone, or off.", nullptr, 0,
       detail::tls_modes},
      {"tls.ca", Type::string, nullptr, "File or directory of authorities to trust instead of the system's.",
       "/etc/ssl/internal-ca.pem"},
      {"tls.certificate", Type::string, nullptr, "Our certificate, PEM, with its chain."},
      {"tls.key", Type::string, nullptr, "Its private key, PEM, without a password; default: in the same file."},
      {"tls.server_name", Type::string, nullptr, "Name to send (SNI) and verify instead of the host."},
      {"tls.warn_days", Type::integer, "0", "Warn if the certificate ends in fewer days; 0 never does.", nullptr, 0,
       nullptr, 0, 3650},
  };
  for (size_t i = 0; i < 7; ++i) out.rows[N + i] = shared[i];
  return out;
}

}  // namespace vital::net
