/** The interface of Hotfork for applications. It needs no other library and Java 17. */
package dev.hotfork;
