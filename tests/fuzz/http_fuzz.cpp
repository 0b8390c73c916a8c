// The bytes of strangers, as the front reads them: PROXY header, request framer, parser, negotiation, and the pages
// themselves on a canned node. What holds for any input: the framer never claims bytes it was not given, reads the same
// request whether it comes at once or byte by byte, and every page gives a whole answer.
//
//   http_fuzz corpus/ tests/data/publish/http-corpus -max_len=12000
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "publish/pages.hpp"
#include "publish/proxy_header.hpp"
#include "publish/request_framer.hpp"
#include "publish/request_parser.hpp"
#include "publish/response.hpp"
#include "tests/publish/canned.hpp"

namespace {

using vital::Frame;

void claim(bool holds) {
  if (!holds) std::abort();
}

// The same bytes in pieces end in the same frame.
Frame in_pieces(std::string_view bytes) {
  vital::RequestFramer framer({});
  Frame frame;
  for (std::size_t n = 1; n <= bytes.size(); ++n) {
    frame = framer.read(bytes.substr(0, n));
    if (frame.status == Frame::Status::bad || frame.status == Frame::Status::complete) break;
  }
  return frame;
}

void check_answer(const vital::Request& request, vital::Pages& pages) {
  const vital::Now now = vital::canned::moment();
  const vital::Response response = pages.answer(request, now);
  std::string bytes;
  vital::compose(response, {}, now.mono, "Sat, 21 Nov 2026 10:03:00 GMT", bytes);
  claim(bytes.starts_with("HTTP/1.1 "));
  const std::size_t head = bytes.find("\r\n\r\n");
  claim(head != std::string::npos);
  claim(bytes.size() - head - 4 == response.shared_body.size() + response.body.size());
  // No text of the request may make a line of its own.
  claim(bytes.substr(0, head).find("\r\nX-Fuzz") == std::string::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static vital::Board board;
  static vital::Pages pages(board, [] { return vital::FrontCounters{}; });
  static vital::RequestParser parser;
  if (!board.view.take()) {
    board.view.put(vital::canned::view(vital::canned::Mood::fail));
    board.valid_until.store(vital::canned::moment().mono + std::chrono::hours(1));
  }
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(data[i]);
  std::string_view rest = bytes;

  const vital::ProxyHeader proxy = vital::read_proxy_header(rest);
  claim(proxy.length <= rest.size());
  if (proxy.status == vital::ProxyHeader::Status::present) rest.remove_prefix(proxy.length);

  for (int i = 0; i < 8 && !rest.empty(); ++i) {
    vital::RequestFramer framer({});
    const Frame frame = framer.read(rest);
    if (rest.size() < 2000) {
      const Frame pieces = in_pieces(rest);
      claim(pieces.status == frame.status && pieces.code == frame.code && pieces.length == frame.length);
    }
    if (frame.status != Frame::Status::complete) break;
    claim(frame.length > 0 && frame.length <= rest.size());
    claim(frame.body.size() <= 64 * 1024);
    parser.route(frame, [&](vital::Request& request) {
      request.is_detailed = size % 2 == 0;
      check_answer(request, pages);
    });
    rest.remove_prefix(frame.length);
  }
  return 0;
}
