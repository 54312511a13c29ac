package dev.hotfork.subjects;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/** What whoever runs a subject has to know about it. {@link Subjects} prints it. */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.TYPE)
public @interface Traits {
    /** Virtual threads need JDK 21; the subject skips itself on an older one. */
    boolean virtualThreads() default false;

    /** The smallest -Xmx, in MB, that it is fine with. */
    int heap() default 128;

    /** It listens, and wants --port. */
    boolean port() default false;

    Instances instances() default Instances.MANY;

    /** JVM options it wants, separated by spaces. */
    String options() default "";

    /** Variables the original has to be started with, KEY=VALUE separated by spaces. */
    String env() default "";

    /** What is to be done or looked at besides the check; README.md has the words. */
    String harness() default "";

    /** A capture must be refused, by a message that this expression matches. */
    String refused() default "";

    /** What may be alive at the same time. */
    enum Instances {
        /** Any number of instances, and the original. */
        MANY,
        /** One at a time, and the original must have ended. */
        ALONE
    }
}
