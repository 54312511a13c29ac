package dev.hotfork;

/**
 * What an application can say to Hotfork's agent in its own JVM. Everything here does nothing, and says so, in a JVM
 * without the agent.
 */
public final class Hotfork {
    private Hotfork() {}

    /**
     * Says that this JVM is as it should be captured: warmed up, caches filled. With {@code --when ready} (agent option
     * {@code when=ready}) the image is taken shortly after; this method does not wait for it. Only the first call counts.
     *
     * @return whether the agent has waited for this word
     */
    public static boolean ready() {
        try {
            return ready0();
        } catch (UnsatisfiedLinkError withoutAgent) {
            return false;
        }
    }

    /** HotSpot finds it in the libraries of the agents that its command line names. */
    private static native boolean ready0();
}
