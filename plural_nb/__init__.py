"""plural_nb: whose opinions does a language model reflect?"""
