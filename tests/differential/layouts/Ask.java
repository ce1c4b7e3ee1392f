// Asks the loaders of Java libraries where in their jars they look, for a system and an architecture.
// javac --release 11 Ask.java; java -cp . Ask JARS OS_NAME/OS_ARCH...
import java.lang.reflect.Method;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Path;

public class Ask {
    static final String[][] ASKED = {
        {"jna", "com.sun.jna.Platform", "getNativeLibraryResourcePrefix"},
        {"snappy", "org.xerial.snappy.OSInfo", "getNativeLibFolderPathForCurrentOS"},
        {"sqlite", "org.sqlite.util.OSInfo", "getNativeLibFolderPathForCurrentOS"},
        {"zstd", "com.github.luben.zstd.util.Native", "resourceName"},
        {"lz4", "net.jpountz.util.Native", "resourceName"},
        {"netty", "io.netty.util.internal.PlatformDependent", "normalizedArch"},
    };

    public static void main(String[] words) throws Exception {
        String[] names = words[0].split(":");
        URL[] jars = new URL[names.length];
        for (int at = 0; at < names.length; at++) jars[at] = Path.of(names[at]).toUri().toURL();
        for (int at = 1; at < words.length; at++) {
            System.setProperty("os.name", words[at].split("/")[0].replace('_', ' '));
            System.setProperty("os.arch", words[at].split("/")[1]);
            System.setProperty("sun.arch.abi", "gnueabihf");
            for (String[] row : ASKED) System.out.println(words[at] + " " + row[0] + " " + ask(jars, row));
        }
    }

    static Object ask(URL[] jars, String[] row) {
        try (URLClassLoader fresh = new URLClassLoader(jars, ClassLoader.getPlatformClassLoader())) {
            for (Method method : Class.forName(row[1], false, fresh).getDeclaredMethods()) {
                if (method.getName().equals(row[2]) && method.getParameterCount() == 0) {
                    method.setAccessible(true);
                    return method.invoke(null);
                }
            }
            return "no such method";
        } catch (Throwable problem) {
            Throwable cause = problem.getCause() == null ? problem : problem.getCause();
            return "refused: " + cause.getClass().getName();
        }
    }
}
