// One HTTP connection; see http_peer.hpp.
#include "publish/http_peer.hpp"

#include <utility>

#include "publish/proxy_header.hpp"

namespace vital {

HttpPeer::HttpPeer(Hall& hall, HttpRoom& room, int fd, std::unique_ptr<Stream> stream, const Origin& origin)
    : Peer(hall, fd, std::move(stream), origin.door && origin.door->tls ? Awaited::handshake : Awaited::first_byte),
      room_(room),
      origin_(origin),
      framer_({hall.limits().header_bytes, hall.limits().body_bytes}),
      is_proxy_read_(!origin.may_proxy || (origin.door && origin.door->tls)) {}

HttpPeer::~HttpPeer() { room_.forget(*this); }

std::size_t HttpPeer::take(std::string_view bytes) {
  if (!is_proxy_read_) return take_proxy_header(bytes);
  const Frame frame = framer_.read(bytes);
  switch (frame.status) {
    case Frame::Status::need_header:
      if (!is_waiting_for(Awaited::header)) wait_for(Awaited::header);
      return 0;
    case Frame::Status::need_body:
      if (!is_waiting_for(Awaited::body)) wait_for(Awaited::body);
      if (frame.wants_continue && !frame.is_1_0 && !has_continued_) {
        has_continued_ = true;
        send("HTTP/1.1 100 Continue\r\n\r\n");
      }
      return 0;
    case Frame::Status::bad:
      refuse(frame.code, frame.problem);
      return bytes.size();
    case Frame::Status::complete:
      break;
  }
  form_ = {frame.method == "HEAD", !frame.keeps_alive, frame.is_1_0, frame.is_bare};
  framer_.reset();
  has_continued_ = false;
  room_.handle(*this, frame);
  return frame.length;
}

std::size_t HttpPeer::take_proxy_header(std::string_view bytes) {
  const ProxyHeader header = read_proxy_header(bytes);
  switch (header.status) {
    case ProxyHeader::Status::need_more:
      if (!is_waiting_for(Awaited::header)) wait_for(Awaited::header);
      return 0;
    case ProxyHeader::Status::malformed:
      refuse(400, "the PROXY header is malformed");
      return bytes.size();
    case ProxyHeader::Status::absent:
      is_proxy_read_ = true;
      return take(bytes);
    case ProxyHeader::Status::present:
      break;
  }
  is_proxy_read_ = true;
  adopt_proxied(header);
  if (!is_waiting_for(Awaited::header)) wait_for(Awaited::header);
  return header.length;
}

// Behind TLS the header stood before the handshake.
void HttpPeer::handshaken() {
  if (const ProxyHeader* header = stream().proxied()) adopt_proxied(*header);
}

void HttpPeer::adopt_proxied(const ProxyHeader& header) {
  FrontStats::add(hall().stats().proxied);
  // Both ends must be loopback for the client to count as that: nobody becomes local by saying so from afar.
  if (header.source.is_known && !(header.source.is_loopback() && !origin_.address.is_loopback())) {
    origin_.address = header.source;
    origin_.is_local = false;
  }
}

void HttpPeer::refuse(int code, std::string_view problem) {
  form_ = {};
  room_.answer(*this, error_response(code, problem));
}

void HttpPeer::late(Awaited kind) {
  switch (kind) {
    case Awaited::header:
      FrontStats::add(hall().stats().timed_out);
      return refuse(408, "the request header did not arrive in time");
    case Awaited::body:
      FrontStats::add(hall().stats().timed_out);
      return refuse(408, "the request body did not arrive in time");
    case Awaited::page:
    case Awaited::reply:
      form_.closes = true;
      room_.forget(*this);
      ++ticket_;
      return room_.answer(*this, error_response(504, "the agent did not answer in time"));
    case Awaited::handshake:
    case Awaited::first_byte:
    case Awaited::next_request:
    case Awaited::line:
    case Awaited::peers_end:
    case Awaited::output_taken:
    case Awaited::stream:
      return finish();
  }
}

// Between requests nothing may be written: it would be taken for the answer to the next one.
std::string HttpPeer::farewell() {
  if (!is_waiting_for(Awaited::header) && !is_waiting_for(Awaited::body)) return {};
  return room_.bytes_of(error_response(503, "too many connections, and this one has waited longest"), {});
}

void HttpPeer::taken() {
  if (is_streaming_) room_.taken(*this);
}

void HttpPeer::was_too_slow() {
  if (is_streaming_) FrontStats::add(hall().stats().stream_readers_dropped);
}

void HttpPeer::park(Awaited kind) {
  ++ticket_;
  wait_for(kind);
}

}  // namespace vital
