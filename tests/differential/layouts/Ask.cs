// Asks .NET for native libraries by name, as a DllImport without search paths of its own does; and has such ones.
// mcs -nostdlib -noconfig -r:System.Private.CoreLib.dll -r:System.Runtime.dll -r:System.Console.dll -out:ask.dll Ask.cs
// (mcs of Debian's mono-mcs; the assemblies are those of .NET Core 3.1.23, from the wheel dotnetcore2)
using System;
using System.Runtime.InteropServices;

static class Ask
{
    [DllImport("example")] static extern int answer();
    [DllImport("libexample.so")] static extern int question();
    [DllImport("kernel32.dll")] static extern int GetTickCount();

    static int Main(string[] names)
    {
        foreach (string name in names)
        {
            IntPtr handle;
            bool found = NativeLibrary.TryLoad(name, typeof(Ask).Assembly, null, out handle);
            Console.WriteLine(name + (found ? " found" : " missing"));
        }
        try { Console.WriteLine("answer " + (names.Length < 0 ? question() + GetTickCount() : answer())); }
        catch (DllNotFoundException) { Console.WriteLine("answer missing"); }
        return 0;
    }
}
