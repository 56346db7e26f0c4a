import com.microsoft.aad.msal4j.AuthorizationCodeParameters;
import com.microsoft.aad.msal4j.AuthorizationRequestUrlParameters;
import com.microsoft.aad.msal4j.ClaimsRequest;
import com.microsoft.aad.msal4j.ClientCredentialFactory;
import com.microsoft.aad.msal4j.ClientCredentialParameters;
import com.microsoft.aad.msal4j.ConfidentialClientApplication;
import com.microsoft.aad.msal4j.IAuthenticationResult;
import com.microsoft.aad.msal4j.OnBehalfOfParameters;
import com.microsoft.aad.msal4j.SilentParameters;
import com.microsoft.aad.msal4j.UserAssertion;
import java.net.URI;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;

/** Microsoft's library for Java. */
class Msal4j {
    public static void main(String[] args) throws Exception {
        Lines.serve(settings -> {
            boolean known = settings.path("known").asBoolean();
            ConfidentialClientApplication client = ConfidentialClientApplication
                    .builder(settings.path("clientID").asText(),
                            ClientCredentialFactory.createFromCertificate(
                                    Lines.key(settings), Lines.certificate(settings)))
                    .authority(settings.path("authority").asText())
                    .instanceDiscovery(!known)
                    .validateAuthority(!known)
                    .clientCapabilities(Set.of("cp1"))
                    .sendX5c(settings.path("chain").asBoolean())
                    .build();
            AtomicReference<IAuthenticationResult> user = new AtomicReference<>();
            return Map.of(
                    "token", job -> {
                        ClientCredentialParameters.ClientCredentialParametersBuilder ask =
                                ClientCredentialParameters.builder(Set.of(job.path("scope").asText()));
                        if (job.hasNonNull("claims")) {
                            ask.claims(ClaimsRequest.formatAsClaimsRequest(job.path("claims").asText()));
                        }
                        return client.acquireToken(ask.build()).get().accessToken();
                    },
                    "obo", job -> client.acquireToken(OnBehalfOfParameters.builder(Set.of(job.path("scope").asText()),
                            new UserAssertion(job.path("assertion").asText())).build()).get().accessToken(),
                    "code", job -> {
                        String redirect = job.path("redirectURI").asText();
                        Set<String> scopes = Set.of(job.path("scope").asText());
                        URI page = client.getAuthorizationRequestUrl(AuthorizationRequestUrlParameters
                                .builder(redirect, scopes).build()).toURI(); // by form_post
                        String code = Lines.code(Lines.follow(page));
                        user.set(client.acquireToken(AuthorizationCodeParameters
                                .builder(code, URI.create(redirect)).scopes(scopes).build()).get());
                        return user.get().accessToken();
                    },
                    "refresh", job -> client.acquireTokenSilently(SilentParameters
                            .builder(Set.of(job.path("scope").asText()), user.get().account())
                            .forceRefresh(true).build()).get().accessToken());
        });
    }
}
