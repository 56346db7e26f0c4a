require_relative 'lines'
require 'rack/oauth2'
require 'uri'

serve do |s|
  http = Rack::OAuth2.http_client
  server = JSON.parse(http.get("#{s['authority']}/.well-known/openid-configuration").body)
  new_client = lambda do |redirect_uri = nil|
    Rack::OAuth2::Client.new(
      identifier: s['clientID'], private_key: OpenSSL::PKey.read(s['key']), redirect_uri: redirect_uri,
      authorization_endpoint: server['authorization_endpoint'], token_endpoint: server['token_endpoint']
    )
  end
  refresh_token = nil
  {
    'token' => ->(job) { new_client.call.access_token!(:jwt_bearer, scope: job['scope']).access_token },
    'obo' => lambda do |job|
      client = new_client.call
      client.jwt_bearer = job['assertion']
      client.access_token!(:jwt_bearer, scope: job['scope'], requested_token_use: 'on_behalf_of').access_token
    end,
    'code' => lambda do |job|
      client = new_client.call(job['redirectURI'])
      page = client.authorization_uri(state: 'state', scope: ['openid', 'offline_access', job['scope']])
      back = URI(http.get(page).headers['Location']) # is the browser
      client.authorization_code = URI.decode_www_form(back.query).to_h['code']
      token = client.access_token!(:jwt_bearer)
      refresh_token = token.refresh_token
      token.access_token
    end,
    'refresh' => lambda do |_|
      client = new_client.call
      client.refresh_token = refresh_token
      client.access_token!(:jwt_bearer).access_token
    end
  }
end
