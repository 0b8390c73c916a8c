// Addresses and networks as the config writes them.
#include "publish/address.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>
#include <string>

using vital::HostAddress;
using vital::Network;
using vital::SocketAddress;

TEST_CASE("addresses to listen on are read and written back") {
  for (const char* text : {"0.0.0.0:9180", "127.0.0.1:0", "[::]:9180", "[2001:db8::1]:65535"}) {
    CHECK(SocketAddress::parse(text).text() == text);
  }
}

TEST_CASE("what is no address is refused in one line that quotes it") {
  for (const char* text : {"", "9180", ":9180", "localhost:9180", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                           "127.0.0.1:-1", "::1:80", "[::1]", "1.2.3:80", "127.0.0.1:80 "}) {
    INFO(text);
    try {
      SocketAddress::parse(text);
      FAIL("accepted");
    } catch (const std::invalid_argument& e) {
      const std::string what = e.what();
      CHECK(what.find("\"" + std::string(text) + "\"") != std::string::npos);
      CHECK(what.find('\n') == std::string::npos);
    }
  }
}

TEST_CASE("a network holds the addresses of its prefix, IPv4 behind IPv6 included") {
  const auto host = [](const char* text) { return HostAddress::of(SocketAddress::parse(text)); };
  struct Row {
    const char* network;
    const char* address;
    bool holds;
  };
  const Row rows[] = {
      {"10.0.0.0/8", "10.255.1.2:1", true},
      {"10.0.0.0/8", "11.0.0.1:1", false},
      {"10.1.2.3", "10.1.2.3:1", true},
      {"10.1.2.3", "10.1.2.4:1", false},
      {"192.168.4.0/22", "192.168.7.255:1", true},
      {"192.168.4.0/22", "192.168.8.0:1", false},
      {"0.0.0.0/0", "1.2.3.4:1", true},
      {"0.0.0.0/0", "[2001:db8::1]:1", false},
      {"10.0.0.0/8", "[::ffff:10.1.1.1]:1", true},
      {"fd00::/8", "[fd12::1]:1", true},
      {"fd00::/8", "[fe80::1]:1", false},
      {"::/0", "1.2.3.4:1", true},
  };
  for (const Row& row : rows) {
    INFO(row.network << " " << row.address);
    CHECK(Network::parse(row.network).contains(host(row.address)) == row.holds);
  }
  CHECK_FALSE(Network::parse("::/0").contains(HostAddress{}));
  CHECK(host("127.9.9.9:1").is_loopback());
  CHECK(host("[::1]:1").is_loopback());
  CHECK_FALSE(host("10.0.0.1:1").is_loopback());
  for (const char* text : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "fd00::/129", "web/8"}) {
    INFO(text);
    CHECK_THROWS_AS(Network::parse(text), std::invalid_argument);
  }
}
