import com.fasterxml.jackson.databind.JsonNode;
import com.nimbusds.jose.jwk.JWK;
import com.nimbusds.jose.jwk.RSAKey;
import com.nimbusds.jose.util.Base64URL;
import java.net.URI;
import java.security.interfaces.RSAPublicKey;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import org.springframework.security.oauth2.client.AuthorizedClientServiceOAuth2AuthorizedClientManager;
import org.springframework.security.oauth2.client.ClientCredentialsOAuth2AuthorizedClientProvider;
import org.springframework.security.oauth2.client.InMemoryOAuth2AuthorizedClientService;
import org.springframework.security.oauth2.client.OAuth2AuthorizeRequest;
import org.springframework.security.oauth2.client.endpoint.AbstractOAuth2AuthorizationGrantRequest;
import org.springframework.security.oauth2.client.endpoint.AbstractRestClientOAuth2AccessTokenResponseClient;
import org.springframework.security.oauth2.client.endpoint.JwtBearerGrantRequest;
import org.springframework.security.oauth2.client.endpoint.NimbusJwtClientAuthenticationParametersConverter;
import org.springframework.security.oauth2.client.endpoint.OAuth2AuthorizationCodeGrantRequest;
import org.springframework.security.oauth2.client.endpoint.OAuth2RefreshTokenGrantRequest;
import org.springframework.security.oauth2.client.endpoint.RestClientAuthorizationCodeTokenResponseClient;
import org.springframework.security.oauth2.client.endpoint.RestClientClientCredentialsTokenResponseClient;
import org.springframework.security.oauth2.client.endpoint.RestClientJwtBearerTokenResponseClient;
import org.springframework.security.oauth2.client.endpoint.RestClientRefreshTokenTokenResponseClient;
import org.springframework.security.oauth2.client.registration.ClientRegistration;
import org.springframework.security.oauth2.client.registration.ClientRegistrations;
import org.springframework.security.oauth2.client.registration.InMemoryClientRegistrationRepository;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.core.endpoint.OAuth2AccessTokenResponse;
import org.springframework.security.oauth2.core.endpoint.OAuth2AuthorizationExchange;
import org.springframework.security.oauth2.core.endpoint.OAuth2AuthorizationRequest;
import org.springframework.security.oauth2.core.endpoint.OAuth2AuthorizationResponse;
import org.springframework.security.oauth2.jwt.Jwt;

/** Spring Security's OAuth 2.0 client. */
class Spring {
    private final JsonNode settings;
    private final JWK key;

    private Spring(JsonNode settings) throws Exception {
        this.settings = settings;
        key = new RSAKey.Builder((RSAPublicKey) Lines.certificate(settings).getPublicKey())
                .privateKey(Lines.key(settings))
                .x509CertSHA256Thumbprint(new Base64URL(settings.path("x5tS256").asText()))
                .build();
    }

    public static void main(String[] args) throws Exception {
        Lines.serve(settings -> {
            Spring spring = new Spring(settings);
            AuthorizedClientServiceOAuth2AuthorizedClientManager manager = spring.manager();
            AtomicReference<OAuth2AccessTokenResponse> user = new AtomicReference<>();
            return Map.of(
                    "token", job -> manager.authorize(OAuth2AuthorizeRequest.withClientRegistrationId("app")
                            .principal("app").build()).getAccessToken().getTokenValue(),
                    "obo", job -> spring.onBehalfOf(job).getAccessToken().getTokenValue(),
                    "code", job -> {
                        user.set(spring.signIn(job));
                        return user.get().getAccessToken().getTokenValue();
                    },
                    "refresh", job -> spring.proving(new RestClientRefreshTokenTokenResponseClient())
                            .getTokenResponse(new OAuth2RefreshTokenGrantRequest(
                                    spring.registration(
                                            AuthorizationGrantType.AUTHORIZATION_CODE, job.path("scope").asText()),
                                    user.get().getAccessToken(), user.get().getRefreshToken()))
                            .getAccessToken().getTokenValue());
        });
    }

    /** A client that proves itself by an assertion. */
    private <T extends AbstractOAuth2AuthorizationGrantRequest,
            C extends AbstractRestClientOAuth2AccessTokenResponseClient<T>> C proving(C client) {
        client.addParametersConverter(new NimbusJwtClientAuthenticationParametersConverter<>(registration -> key));
        return client;
    }

    private ClientRegistration registration(AuthorizationGrantType grant, String scope) {
        return ClientRegistrations.fromIssuerLocation(settings.path("authority").asText())
                .registrationId("app").clientId(settings.path("clientID").asText())
                .clientAuthenticationMethod(ClientAuthenticationMethod.PRIVATE_KEY_JWT)
                .authorizationGrantType(grant)
                .redirectUri("https://app.example/callback").scope(scope).build();
    }

    private AuthorizedClientServiceOAuth2AuthorizedClientManager manager() {
        ClientRegistration registration = registration(AuthorizationGrantType.CLIENT_CREDENTIALS, "read");
        InMemoryClientRegistrationRepository known = new InMemoryClientRegistrationRepository(registration);
        var provider = new ClientCredentialsOAuth2AuthorizedClientProvider();
        provider.setAccessTokenResponseClient(proving(new RestClientClientCredentialsTokenResponseClient()));
        var manager = new AuthorizedClientServiceOAuth2AuthorizedClientManager(
                known, new InMemoryOAuth2AuthorizedClientService(known));
        manager.setAuthorizedClientProvider(provider);
        return manager;
    }

    private OAuth2AccessTokenResponse onBehalfOf(JsonNode job) {
        String token = job.path("assertion").asText();
        RestClientJwtBearerTokenResponseClient client = proving(new RestClientJwtBearerTokenResponseClient());
        client.setParametersCustomizer(form -> form.set("requested_token_use", "on_behalf_of"));
        Jwt user = Jwt.withTokenValue(token).header("alg", "RS256").subject("user").issuedAt(Instant.now()).build();
        return client.getTokenResponse(new JwtBearerGrantRequest(
                registration(AuthorizationGrantType.JWT_BEARER, job.path("scope").asText()), user));
    }

    private OAuth2AccessTokenResponse signIn(JsonNode job) throws Exception {
        ClientRegistration registration = registration(
                AuthorizationGrantType.AUTHORIZATION_CODE, job.path("scope").asText());
        OAuth2AuthorizationRequest ask = OAuth2AuthorizationRequest.authorizationCode()
                .authorizationUri(registration.getProviderDetails().getAuthorizationUri())
                .clientId(registration.getClientId()).redirectUri(registration.getRedirectUri())
                .scope("openid", "offline_access", job.path("scope").asText()).state("state").build();
        OAuth2AuthorizationResponse back = OAuth2AuthorizationResponse
                .success(Lines.code(Lines.follow(URI.create(ask.getAuthorizationRequestUri()))))
                .redirectUri(registration.getRedirectUri()).state("state").build();
        return proving(new RestClientAuthorizationCodeTokenResponseClient()).getTokenResponse(
                new OAuth2AuthorizationCodeGrantRequest(registration, new OAuth2AuthorizationExchange(ask, back)));
    }
}
