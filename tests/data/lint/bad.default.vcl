vcl 4.1;
probe slow {
  .url = "/";
  .timeout = 10s;
}
/* a probe
   by hand */
backend a {
  .host = "10.0.0.11";
  .port = "9180";
  .probe = {
    .request = "GET /health HTTP/1.1" "Accept: */*";
    .expected_response = 204;
    .interval = 1s; .window = 2; .threshold = 2;
  }
}
backend b {
  .host = "10.0.0.12"; # http://b
  .probe = { .url = "/health"; .window = 3; .threshold = 4; }
}
backend good {
  .host = "10.0.0.13";
  .probe = { .url = "/health"; .interval = 1s; .timeout = 1s; .window = 2; .threshold = 2; }
}
