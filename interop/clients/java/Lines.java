import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Java's half of lines.mjs: jobs by lines of JSON, and what the clients' programs share. */
class Lines {
    /** A job that a client can do. It returns a token. */
    interface Op {
        String run(JsonNode job) throws Exception;
    }

    /** Makes a client, and returns the jobs that it can do. */
    interface Setup {
        Map<String, Op> of(JsonNode settings) throws Exception;
    }

    static void serve(Setup setup) throws Exception {
        ObjectMapper json = new ObjectMapper();
        Map<String, Op> client = Map.of();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            JsonNode job = json.readTree(line);
            String op = job.path("op").asText();
            Map<String, Object> result = new HashMap<>();
            try {
                if (op.equals("setup")) {
                    client = setup.of(job);
                } else if (client.containsKey(op)) {
                    result.put("token", client.get(op).run(job));
                } else {
                    result.put("unsupported", true);
                }
            } catch (Exception e) { // whatever the client throws is its answer
                result.put("error", describe(e));
            }
            System.out.println(json.writeValueAsString(result));
        }
        System.exit(0); // the clients' threads would go on for a while
    }

    private static String describe(Throwable e) {
        StringBuilder all = new StringBuilder();
        for (int i = 0; e != null && i < 5; i++, e = e.getCause()) {
            all.append(e).append("; ");
        }
        return all.toString();
    }

    static PrivateKey key(JsonNode settings) throws Exception {
        String base64 = settings.path("key").asText().replaceAll("-----[A-Z ]+-----|\\s", "");
        byte[] der = Base64.getDecoder().decode(base64);
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
    }

    static X509Certificate certificate(JsonNode settings) throws Exception {
        byte[] pem = settings.path("cert").asText().getBytes(StandardCharsets.UTF_8);
        return (X509Certificate) CertificateFactory.getInstance("X.509")
                .generateCertificate(new ByteArrayInputStream(pem));
    }

    /** Is the browser: the URL of the redirect, or what the page's form would send, as one. */
    static URI follow(URI url) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) url.toURL().openConnection();
        connection.setInstanceFollowRedirects(false);
        String location = connection.getHeaderField("Location");
        if (location != null) {
            return URI.create(location);
        }
        String page = new String(connection.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        StringBuilder back = new StringBuilder("https://app.example/callback");
        Matcher field = Pattern.compile("name=\"([^\"]*)\" value=\"([^\"]*)\"").matcher(page);
        for (char separator = '?'; field.find(); separator = '&') {
            back.append(separator).append(field.group(1)).append('=')
                    .append(URLEncoder.encode(field.group(2), StandardCharsets.UTF_8));
        }
        return URI.create(back.toString());
    }

    /** The code in the URL of a redirect. */
    static String code(URI back) {
        for (String pair : back.getQuery().split("&")) {
            if (pair.startsWith("code=")) {
                return pair.substring("code=".length());
            }
        }
        throw new IllegalStateException("no code: " + back);
    }
}
