// Spring Authorization Server, as Spring Boot configures it, for the tests of this module,
// over TLS on loopback.
//
// It reads lines of JSON from standard input. The first configures it, each later one
// registers a client or replaces one; every line is answered by one. When standard input
// ends, so does the server: it can't outlive its test.

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.security.oauth2.core.AuthorizationGrantType;
import org.springframework.security.oauth2.core.ClientAuthenticationMethod;
import org.springframework.security.oauth2.jose.jws.SignatureAlgorithm;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClient;
import org.springframework.security.oauth2.server.authorization.client.RegisteredClientRepository;
import org.springframework.security.oauth2.server.authorization.settings.ClientSettings;
import org.springframework.security.oauth2.server.authorization.settings.TokenSettings;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

@Configuration(proxyBeanMethods = false)
@EnableAutoConfiguration
public class Server {
    static final JsonMapper json = new JsonMapper();
    static final Clients clients = new Clients();

    // Spring's own repository in memory can't be changed after its start.
    static class Clients implements RegisteredClientRepository {
        private final Map<String, RegisteredClient> byId = new ConcurrentHashMap<>();
        private final Map<String, RegisteredClient> byClientId = new ConcurrentHashMap<>();

        @Override
        public void save(RegisteredClient client) {
            byId.put(client.getId(), client);
            byClientId.put(client.getClientId(), client);
        }

        @Override
        public RegisteredClient findById(String id) {
            return byId.get(id);
        }

        @Override
        public RegisteredClient findByClientId(String id) {
            return byClientId.get(id);
        }
    }

    @Bean
    RegisteredClientRepository clients() {
        return clients;
    }

    // Spring fetches a client's keys over connections that trust what the JVM trusts.
    static void trust(String pem) throws Exception {
        KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
        trusted.load(null, null);
        trusted.setCertificateEntry("test", CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(pem.getBytes(StandardCharsets.US_ASCII))));
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        SSLContext.setDefault(context);
    }

    static String start(JsonNode message) throws Exception {
        trust(message.get("cert").asString());
        Path folder = Files.createTempDirectory("certtoken-spring");
        try {
            for (String name : new String[] {"cert", "key", "ca"}) {
                Files.writeString(folder.resolve(name), message.get(name).asString());
            }
            SpringApplication app = new SpringApplication(Server.class);
            var context = app.run(
                "--spring.main.banner-mode=off", "--logging.level.root=error",
                "--server.address=127.0.0.1", "--server.port=0",
                // A connection that is closed because it was idle may be one over which a request is coming.
                "--server.tomcat.keep-alive-timeout=10m",
                "--server.ssl.certificate=" + folder.resolve("cert"),
                "--server.ssl.certificate-private-key=" + folder.resolve("key"),
                "--server.ssl.trust-certificate=" + folder.resolve("ca"),
                "--server.ssl.client-auth=want");
            return "https://127.0.0.1:" + context.getEnvironment().getProperty("local.server.port");
        } finally {
            for (String name : new String[] {"cert", "key", "ca"}) {
                Files.deleteIfExists(folder.resolve(name));
            }
            Files.delete(folder);
        }
    }

    static void register(JsonNode message) {
        String id = message.get("id").asString();
        ClientSettings.Builder settings = ClientSettings.builder();
        if (message.has("jwksURI")) {
            settings.jwkSetUrl(message.get("jwksURI").asString());
        }
        if (message.has("algorithm")) {
            SignatureAlgorithm algorithm = SignatureAlgorithm.from(message.get("algorithm").asString());
            if (algorithm != null) { // one that Spring has no name for can't be set
                settings.tokenEndpointAuthenticationSigningAlgorithm(algorithm);
            }
        }
        if (message.has("subject")) {
            settings.x509CertificateSubjectDN(message.get("subject").asString());
        }
        int lifetime = message.path("lifetime").asInt(0);
        TokenSettings.Builder tokens = TokenSettings.builder()
            .x509CertificateBoundAccessTokens(message.path("bound").asBoolean(false))
            .accessTokenTimeToLive(Duration.ofSeconds(lifetime > 0 ? lifetime : 3600));
        // Spring keeps what it learned of a client by the registration's own id.
        clients.save(RegisteredClient.withId(UUID.randomUUID().toString()).clientId(id)
            .clientAuthenticationMethod(new ClientAuthenticationMethod(message.get("method").asString()))
            .authorizationGrantType(AuthorizationGrantType.CLIENT_CREDENTIALS)
            .scope("read").scope("write")
            .clientSettings(settings.build()).tokenSettings(tokens.build()).build());
    }

    public static void main(String[] args) throws Exception {
        PrintStream answers = System.out;
        System.setOut(System.err); // standard output is for answers
        boolean running = false;
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode message = json.readTree(line);
            Map<String, String> answer;
            if (running) {
                register(message);
                answer = Map.of("registered", message.get("id").asString());
            } else {
                String issuer = start(message);
                answer = Map.of("issuer", issuer, "tokenURL", issuer + "/oauth2/token");
                running = true;
            }
            answers.println(json.writeValueAsString(answer));
            answers.flush();
        }
        System.exit(0);
    }
}
