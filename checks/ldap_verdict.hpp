// What LDAP result codes mean for a verdict. Pure, so that each rule has its case in tests/checks/; the file that talks
// to servers is ldap.cpp.
#pragma once

#include <ldap.h>

#include <string>

#include "words.hpp"

namespace vital::check::ldap {

// What a result code proves, wherever it came: bind, StartTLS or search. Negative ones are libldap's own.
inline Meaning meaning_of(int code) {
  switch (code) {
    // The monitor's own credentials or rights: says nothing about the service, and trying again locks accounts.
    case LDAP_INVALID_CREDENTIALS:
    case LDAP_INAPPROPRIATE_AUTH:
    case LDAP_INSUFFICIENT_ACCESS:
    case LDAP_STRONG_AUTH_REQUIRED:
    case LDAP_CONFIDENTIALITY_REQUIRED:
    case LDAP_AUTH_METHOD_NOT_SUPPORTED:
    case LDAP_AUTH_UNKNOWN:
      return {Verdict::unknown, Cause::auth};
    // Alive, but not willing to do more now.
    case LDAP_BUSY:
    case LDAP_UNAVAILABLE:
    case LDAP_UNWILLING_TO_PERFORM:
    case LDAP_ADMINLIMIT_EXCEEDED:
      return {Verdict::warn, Cause::protocol};
    // What the config asks for is not LDAP.
    case LDAP_INVALID_DN_SYNTAX:
    case LDAP_FILTER_ERROR:
    case LDAP_PARAM_ERROR:
    case LDAP_UNDEFINED_TYPE:
    case LDAP_INAPPROPRIATE_MATCHING:
      return {Verdict::unknown, Cause::config};
    case LDAP_TIMELIMIT_EXCEEDED:
    case LDAP_TIMEOUT:
      return {Verdict::fail, Cause::timeout};
    // The base is not there. Named by mistake it shows on the first probe; later it means a directory that lost its
    // data, which is what a port check does not see. The same for a server that sends us elsewhere for the base.
    case LDAP_NO_SUCH_OBJECT:
    case LDAP_NO_SUCH_ATTRIBUTE:
    case LDAP_OBJECT_CLASS_VIOLATION:
    case LDAP_REFERRAL:
    case LDAP_PARTIAL_RESULTS:
      return {Verdict::fail, Cause::content};
    case LDAP_CONNECT_ERROR:  // what libldap makes of every TLS failure
      return {Verdict::fail, Cause::tls};
    case LDAP_NO_MEMORY:
    case LDAP_LOCAL_ERROR:
      return {Verdict::unknown, Cause::agent};
    default:
      // Lost connections, answers that are not LDAP, operations errors.
      return {Verdict::fail, Cause::protocol};
  }
}

// What libldap's debug output during a handshake says about the certificate, in words. Empty if nothing known is in it.
inline std::string tls_words(std::string_view heard) {
  const auto line_with = [&](std::string_view part) {
    const auto at = heard.find(part);
    return at == std::string_view::npos ? std::string() : std::string(heard.substr(at, heard.find('\n', at) - at));
  };
  if (const std::string untrusted = line_with("peer cert untrusted or revoked"); !untrusted.empty()) {
    // GnuTLS's gnutls_certificate_status_t, which is all that libldap prints.
    const auto open = untrusted.find("(0x");
    const unsigned long status =
        open == std::string::npos ? 0 : std::strtoul(untrusted.c_str() + open + 1, nullptr, 16);
    struct Row {
      unsigned long bit;
      const char* words;
    };
    static constexpr Row table[] = {
        {1UL << 10, "the certificate has expired"},
        {1UL << 9, "the certificate is not valid yet"},
        {1UL << 5, "the certificate is revoked"},
        {1UL << 6, "the certificate is signed by an authority that tls.ca does not know"},
        {1UL << 7, "the certificate is signed by one that is no authority"},
        {1UL << 8, "the certificate uses an insecure algorithm"},
    };
    for (const Row& row : table) {
      if ((status & row.bit) != 0) return row.words;
    }
    return "the certificate is not trusted";
  }
  for (const std::string_view part : {"peer certificate is expired", "peer certificate not yet active", "hostname (",
                                      "hostname does not match", "can't connect: "}) {
    if (std::string line = line_with(part); !line.empty()) {
      while (!line.empty() && (line.back() == '.' || line.back() == ' ')) line.pop_back();
      return line;
    }
  }
  return {};
}

// "Invalid credentials (49)", with the server's own words where it sent some.
inline std::string words_for(int code, const std::string& diagnostic) {
  const std::string number = code > 0 ? " (" + std::to_string(code) + ")" : "";
  const std::string hint = code == LDAP_NO_SUCH_OBJECT ? "; the directory is empty, or search.base is wrong" : "";
  return ldap_err2string(code) + number + (diagnostic.empty() ? "" : ": " + diagnostic) + hint;
}

}  // namespace vital::check::ldap
