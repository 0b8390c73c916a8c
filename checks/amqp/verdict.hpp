// What the codes mean with which a broker of AMQP 0-9-1 closes a channel or a connection. Pure. [any]
#pragma once

#include <string>

#include "../words.hpp"

namespace vital::check::amqp {

inline Meaning meaning_of(int code, const std::string& text) {
  switch (code) {
    case 403:  // ACCESS_REFUSED: the login, or a right this user does not have
      return {Verdict::unknown, Cause::auth};
    case 404:  // NOT_FOUND: no such queue, or the node it lives on is down
      return {Verdict::fail, Cause::content};
    case 405:  // RESOURCE_LOCKED: somebody's exclusive queue
    case 406:  // PRECONDITION_FAILED
      return {Verdict::unknown, Cause::config};
    case 506:  // RESOURCE_ERROR
      return {Verdict::fail, Cause::content};
    case 530:  // NOT_ALLOWED: the virtual host is not there, or not for this user, or full of connections
      if (text.find("refused for user") != std::string::npos) return {Verdict::unknown, Cause::auth};
      return {Verdict::fail, Cause::content};
    default:  // 320 shutting down, 501 to 505 and 540 what one of us does not understand, 541 a bug over there
      return {Verdict::fail, Cause::protocol};
  }
}

}  // namespace vital::check::amqp
