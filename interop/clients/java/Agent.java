import com.azure.core.credential.TokenCredential;
import com.azure.core.credential.TokenRequestContext;
import com.azure.identity.DefaultAzureCredentialBuilder;
import com.azure.identity.ManagedIdentityCredentialBuilder;
import java.util.List;

/** Asks a local agent for a token in each way of Azure's SDK for Java: java Agent.java CLIENT-ID SCOPE. */
class Agent {
    public static void main(String[] args) {
        List<TokenCredential> ways = List.of(
                new ManagedIdentityCredentialBuilder().build(),
                new ManagedIdentityCredentialBuilder().clientId(args[0]).build(),
                new DefaultAzureCredentialBuilder().build());
        for (TokenCredential way : ways) {
            System.out.println(way.getTokenSync(new TokenRequestContext().addScopes(args[1])).getToken());
        }
        System.exit(0); // the SDK's threads would go on for a while
    }
}
