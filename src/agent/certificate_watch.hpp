// CertificateWatch: notices that a certificate was renewed, so that nobody has to tell us. A thread of its own looks at
// the files (a dead network disk may hold it, and nobody else), waits until they rest, makes new front options of the
// config and hands them to the loop. What cannot be used is told once, and the old certificate stays.
//
//   watch.follow(config, inherited);          // from now on these files; an earlier config is forgotten
//
// [loop]
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "loop/inherited.hpp"
#include "loop/mailbox.hpp"
#include "publish/front.hpp"

namespace vital {

class CertificateWatch {
 public:
  struct News {
    std::shared_ptr<const Config> config;  // it was made from
    FrontOptions options;                  // if there is no trouble
    std::string trouble;
  };
  // `told` is called on the loop.
  CertificateWatch(std::shared_ptr<Mailbox> mail, std::function<void(News)> told);
  ~CertificateWatch();
  CertificateWatch(const CertificateWatch&) = delete;
  CertificateWatch& operator=(const CertificateWatch&) = delete;

  void follow(std::shared_ptr<const Config> config, std::vector<InheritedSocket> inherited);
  // Ends the thread; false if it is stuck on a file and must be left behind.
  bool stop();

 private:
  struct State;
  static void run(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;
};

}  // namespace vital
