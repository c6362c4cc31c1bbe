// SPDX-License-Identifier: Apache-2.0
// Java's SunPKCS11 on a token: signs and decrypts with the keys that keytool made, and serves TLS with them.
//
// usage: java TokenClient.java CONFIG PIN ALIAS...
import java.io.InputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.*;
import java.security.cert.Certificate;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.util.concurrent.Executors;
import javax.crypto.Cipher;
import javax.net.ssl.*;

public class TokenClient {
  static final String[] RSA_SIGNATURES = { "SHA256withRSA", "SHA512withRSA", "RSASSA-PSS" };
  static final String[] EC_SIGNATURES = { "SHA256withECDSA", "SHA384withECDSA" };
  static final PSSParameterSpec PSS = new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1);
  static final byte[] MESSAGE = "a message".getBytes(StandardCharsets.UTF_8);

  static void check(boolean good, String what) {
    System.out.println((good ? "ok " : "FAILED ") + what);
    if (!good)
      System.exit(1);
  }

  static void sign(Provider token, PrivateKey key, Certificate cert, String algorithm) throws Exception {
    Signature signer = Signature.getInstance(algorithm, token);
    signer.initSign(key);
    if (algorithm.equals("RSASSA-PSS"))
      signer.setParameter(PSS);
    signer.update(MESSAGE);
    byte[] signature = signer.sign();
    Signature verifier = Signature.getInstance(algorithm);
    verifier.initVerify(cert.getPublicKey());
    if (algorithm.equals("RSASSA-PSS"))
      verifier.setParameter(PSS);
    verifier.update(MESSAGE);
    check(verifier.verify(signature), algorithm);
  }

  static void decrypt(Provider token, PrivateKey key, Certificate cert) throws Exception {
    Cipher cipher = Cipher.getInstance("RSA/ECB/PKCS1Padding");
    cipher.init(Cipher.ENCRYPT_MODE, cert.getPublicKey());
    byte[] encrypted = cipher.doFinal(MESSAGE);
    cipher = Cipher.getInstance("RSA/ECB/PKCS1Padding", token);
    cipher.init(Cipher.DECRYPT_MODE, key);
    check(MessageDigest.isEqual(cipher.doFinal(encrypted), MESSAGE), "RSA/ECB/PKCS1Padding");
  }

  static SSLContext serverContext(KeyStore tokenStore, char[] pin, String alias) throws Exception {
    KeyManagerFactory keys = KeyManagerFactory.getInstance("SunX509");
    keys.init(tokenStore, pin);
    X509ExtendedKeyManager all = (X509ExtendedKeyManager)keys.getKeyManagers()[0];
    X509ExtendedKeyManager one = new X509ExtendedKeyManager() {
      public String[] getClientAliases(String type, Principal[] issuers) { return null; }
      public String chooseClientAlias(String[] types, Principal[] issuers, java.net.Socket s) { return null; }
      public String[] getServerAliases(String type, Principal[] issuers) { return new String[] { alias }; }
      public String chooseServerAlias(String type, Principal[] issuers, java.net.Socket s) {
        return all.getPrivateKey(alias).getAlgorithm().equals(type) ? alias : null;
      }
      public java.security.cert.X509Certificate[] getCertificateChain(String a) { return all.getCertificateChain(a); }
      public PrivateKey getPrivateKey(String a) { return all.getPrivateKey(a); }
    };
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(new KeyManager[] { one }, null, null);
    return context;
  }

  static SSLContext clientContext(Certificate trusted) throws Exception {
    KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
    store.load(null, null);
    store.setCertificateEntry("server", trusted);
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    return context;
  }

  static void serve(KeyStore tokenStore, char[] pin, String alias, String protocol) throws Exception {
    Certificate[] chain = tokenStore.getCertificateChain(alias);
    SSLServerSocketFactory servers = serverContext(tokenStore, pin, alias).getServerSocketFactory();
    var pool = Executors.newSingleThreadExecutor();
    try (SSLServerSocket server = (SSLServerSocket)servers.createServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      var served = pool.submit(() -> {
        try (var connection = server.accept()) {
          connection.getOutputStream().write(MESSAGE);
        }
        return null;
      });
      SSLSocketFactory clients = clientContext(chain[chain.length - 1]).getSocketFactory();
      try (SSLSocket client = (SSLSocket)clients.createSocket(server.getInetAddress(), server.getLocalPort())) {
        client.setEnabledProtocols(new String[] { protocol });
        InputStream in = client.getInputStream();
        check(MessageDigest.isEqual(in.readNBytes(MESSAGE.length), MESSAGE), protocol + " " + alias);
      }
      served.get();
    } finally {
      pool.shutdown();
    }
  }

  public static void main(String[] args) throws Exception {
    Provider token = Security.getProvider("SunPKCS11").configure(args[0]);
    Security.addProvider(token);
    char[] pin = args[1].toCharArray();
    KeyStore store = KeyStore.getInstance("PKCS11", token);
    store.load(null, pin);
    for (int i = 2; i < args.length; i++) {
      PrivateKey key = (PrivateKey)store.getKey(args[i], null);
      Certificate cert = store.getCertificate(args[i]);
      boolean rsa = key.getAlgorithm().equals("RSA");
      for (String algorithm : rsa ? RSA_SIGNATURES : EC_SIGNATURES)
        sign(token, key, cert, algorithm);
      if (rsa)
        decrypt(token, key, cert);
      serve(store, pin, args[i], "TLSv1.2");
      serve(store, pin, args[i], "TLSv1.3");
    }
  }
}
