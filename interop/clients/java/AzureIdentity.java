import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.ClientCertificateCredentialBuilder;
import com.azure.identity.OnBehalfOfCredentialBuilder;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** Azure's SDK for Java. */
class AzureIdentity {
    public static void main(String[] args) throws Exception {
        Lines.serve(settings -> {
            URI authority = URI.create(settings.path("authority").asText());
            String tenant = authority.getPath().substring(1);
            String host = authority.resolve("/").toString();
            boolean known = settings.path("known").asBoolean();
            boolean chain = settings.path("chain").asBoolean();
            Path pem = Files.createTempFile("certtoken-", ".pem"); // only its user may read it
            pem.toFile().deleteOnExit();
            Files.writeString(pem, settings.path("cert").asText() + settings.path("key").asText());
            ClientCertificateCredentialBuilder builder = new ClientCertificateCredentialBuilder()
                    .tenantId(tenant).clientId(settings.path("clientID").asText()).authorityHost(host)
                    .pemCertificate(pem.toString()).sendCertificateChain(chain);
            TokenCredential credential = (known ? builder.disableInstanceDiscovery() : builder).build();
            return Map.of(
                    "token", job -> {
                        TokenRequestContext ask = new TokenRequestContext()
                                .addScopes(job.path("scope").asText()).setCaeEnabled(true);
                        if (job.hasNonNull("claims")) {
                            ask.setClaims(job.path("claims").asText());
                        }
                        return credential.getTokenSync(ask).getToken();
                    },
                    "obo", job -> {
                        OnBehalfOfCredentialBuilder user = new OnBehalfOfCredentialBuilder()
                                .tenantId(tenant).clientId(settings.path("clientID").asText()).authorityHost(host)
                                .pemCertificate(pem.toString()).sendCertificateChain(chain)
                                .userAssertion(job.path("assertion").asText());
                        return (known ? user.disableInstanceDiscovery() : user).build()
                                .getTokenSync(new TokenRequestContext().addScopes(job.path("scope").asText()))
                                .getToken();
                    });
        });
    }
}
