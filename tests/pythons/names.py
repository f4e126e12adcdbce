class Wörld:
    def méthod(self):
        def inner():
            return 1
        return inner()


Wörld().méthod()
