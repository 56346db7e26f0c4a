import com.fasterxml.jackson.databind.JsonNode;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.util.Base64URL;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.oauth2.sdk.AuthorizationCode;
import com.nimbusds.oauth2.sdk.AuthorizationCodeGrant;
import com.nimbusds.oauth2.sdk.AuthorizationGrant;
import com.nimbusds.oauth2.sdk.ClientCredentialsGrant;
import com.nimbusds.oauth2.sdk.JWTBearerGrant;
import com.nimbusds.oauth2.sdk.RefreshTokenGrant;
import com.nimbusds.oauth2.sdk.ResponseType;
import com.nimbusds.oauth2.sdk.Scope;
import com.nimbusds.oauth2.sdk.TokenRequest;
import com.nimbusds.oauth2.sdk.TokenResponse;
import com.nimbusds.oauth2.sdk.auth.PrivateKeyJWT;
import com.nimbusds.oauth2.sdk.id.ClientID;
import com.nimbusds.oauth2.sdk.id.Issuer;
import com.nimbusds.oauth2.sdk.id.State;
import com.nimbusds.oauth2.sdk.pkce.CodeChallengeMethod;
import com.nimbusds.oauth2.sdk.pkce.CodeVerifier;
import com.nimbusds.oauth2.sdk.token.RefreshToken;
import com.nimbusds.oauth2.sdk.token.Tokens;
import com.nimbusds.openid.connect.sdk.AuthenticationRequest;
import com.nimbusds.openid.connect.sdk.AuthenticationResponseParser;
import com.nimbusds.openid.connect.sdk.AuthenticationSuccessResponse;
import com.nimbusds.openid.connect.sdk.Nonce;
import com.nimbusds.openid.connect.sdk.OIDCTokenResponse;
import com.nimbusds.openid.connect.sdk.OIDCTokenResponseParser;
import com.nimbusds.openid.connect.sdk.op.OIDCProviderMetadata;
import com.nimbusds.openid.connect.sdk.validators.IDTokenValidator;
import java.net.URI;
import java.util.Map;

/** Nimbus' OAuth 2.0 SDK with OpenID Connect extensions. */
class Nimbus {
    private final OIDCProviderMetadata server;
    private final ClientID me;
    private final PrivateKeySource key;
    private RefreshToken refreshToken;

    /** Signs a new assertion for each request. */
    private interface PrivateKeySource {
        PrivateKeyJWT sign() throws Exception;
    }

    private Nimbus(JsonNode settings) throws Exception {
        server = OIDCProviderMetadata.resolve(new Issuer(settings.path("authority").asText()));
        me = new ClientID(settings.path("clientID").asText());
        JWSAlgorithm algorithm = JWSAlgorithm.parse(settings.path("alg").asText());
        Base64URL thumbprint = settings.path("header").asText().equals("x5t#S256")
                ? new Base64URL(settings.path("x5tS256").asText()) : null;
        var privateKey = Lines.key(settings);
        key = () -> new PrivateKeyJWT(
                me, server.getTokenEndpointURI(), algorithm, privateKey, null, null, thumbprint, null);
    }

    public static void main(String[] args) throws Exception {
        Lines.serve(settings -> {
            Nimbus client = new Nimbus(settings);
            return Map.of(
                    "token", job -> client.ask(new ClientCredentialsGrant(), job.path("scope").asText(), Map.of()),
                    "obo", job -> client.ask(new JWTBearerGrant(SignedJWT.parse(job.path("assertion").asText())),
                            job.path("scope").asText(), Map.of("requested_token_use", "on_behalf_of")),
                    "code", job -> client.signIn(
                            job.path("scope").asText(), URI.create(job.path("redirectURI").asText())),
                    "refresh", job -> client.ask(new RefreshTokenGrant(client.refreshToken), null, Map.of()));
        });
    }

    private String ask(AuthorizationGrant grant, String scope, Map<String, String> more) throws Exception {
        return tokens(send(grant, scope, more)).getAccessToken().getValue();
    }

    private TokenResponse send(AuthorizationGrant grant, String scope, Map<String, String> more) throws Exception {
        TokenRequest.Builder ask = new TokenRequest.Builder(server.getTokenEndpointURI(), key.sign(), grant);
        if (scope != null) {
            ask.scope(Scope.parse(scope));
        }
        more.forEach((name, value) -> ask.customParameter(name, value));
        return OIDCTokenResponseParser.parse(ask.build().toHTTPRequest().send());
    }

    private static Tokens tokens(TokenResponse answer) {
        if (!answer.indicatesSuccess()) {
            throw new IllegalStateException(answer.toErrorResponse().getErrorObject().toJSONObject().toString());
        }
        return answer.toSuccessResponse().getTokens();
    }

    private String signIn(String scope, URI redirect) throws Exception {
        CodeVerifier verifier = new CodeVerifier();
        State state = new State();
        Nonce nonce = new Nonce();
        Scope all = Scope.parse("openid offline_access " + scope);
        URI page = new AuthenticationRequest.Builder(ResponseType.CODE, all, me, redirect)
                .endpointURI(server.getAuthorizationEndpointURI()).state(state).nonce(nonce)
                .codeChallenge(verifier, CodeChallengeMethod.S256).build().toURI();
        AuthenticationSuccessResponse back = AuthenticationResponseParser.parse(Lines.follow(page)).toSuccessResponse();
        if (!state.equals(back.getState()) || !server.getIssuer().equals(back.getIssuer())) {
            throw new IllegalStateException("the redirect is another's");
        }
        AuthorizationCode code = back.getAuthorizationCode();
        TokenResponse answer = send(new AuthorizationCodeGrant(code, redirect, verifier), null, Map.of());
        Tokens tokens = tokens(answer);
        new IDTokenValidator(server.getIssuer(), me, JWSAlgorithm.RS256, server.getJWKSetURI().toURL())
                .validate(((OIDCTokenResponse) answer).getOIDCTokens().getIDToken(), nonce);
        refreshToken = tokens.getRefreshToken();
        return tokens.getAccessToken().getValue();
    }
}
